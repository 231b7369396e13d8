"""Tables: columns of whole captures, by a scan in numpy or compiled, and what they become in Arrow."""
