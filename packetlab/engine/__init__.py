"""Protocol endpoints as plain objects: octets and times go in, octets and events come out; no sockets, no clocks."""
