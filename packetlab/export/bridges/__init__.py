"""scapy and dpkt: packets of theirs and ours, classes of theirs from declarations, their decoders of application data."""
