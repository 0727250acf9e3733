"""What this machine is: time, identifiers, processor, memory, accelerators."""
