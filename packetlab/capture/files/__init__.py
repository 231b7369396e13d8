"""Capture files: pcap and pcapng, read and written in one pass, packed or not, and headers declared in them."""
