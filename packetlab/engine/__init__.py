"""Protocol rules without input and output: packets, wishes and the time go in, packets and events come out."""
