"""Rewriting captures: addresses, ports, link layers; where they lie, and how checksums follow."""
