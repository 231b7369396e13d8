"""Examples to copy: real programs from Debian under test, with peers made of declared headers."""
