"""HTTP surfaces: parse, call, render. No decisions."""
