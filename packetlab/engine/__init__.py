"""Protocol rules without input and output: packets, calls of its user and the time go in, packets and events come out."""
