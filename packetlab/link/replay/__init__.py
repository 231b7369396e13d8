"""Captures onto a wire and off it: `send`, `replay` (as recorded), `replay_sides` (against a peer), `record`."""
