"""A line for each mechanism: a message declared with it, and the same in Python written by hand."""
