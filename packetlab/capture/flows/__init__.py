"""Conversations in captures: numbers of flows, sides of client and server, requests with their replies."""
