"""Reading files in a supervised, jailed child process; how they are read is not decided here."""
