"""Filters over captures: of the pcap language (compiled by libpcap, run here), and whatever else `where` takes."""
