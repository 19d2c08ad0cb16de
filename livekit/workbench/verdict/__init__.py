"""The verdict as a person reads it: in a notebook, in the terminal, as JSON."""
