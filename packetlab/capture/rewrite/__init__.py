"""Rewriting captures: addresses, ports, link layers; where they lie, and how checksums follow.

With the extra `fast` plain frames of large files go through a compiled loop (`loop`), all else through numpy (`located`)."""
