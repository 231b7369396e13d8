"""Hosts: engines on one side, ports on the other, for every kind of network; `carriers` is what XNS travels on."""
