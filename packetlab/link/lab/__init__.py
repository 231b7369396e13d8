"""A rootless lab: hosts in network namespaces, links of veth pairs, programs in them.

    lab, lab_host    the lab and its hosts; `program` what runs in one; `unanswered` an address without a kernel
    namespaces       the process that holds the namespaces; `relay` one that impairs a link

Nothing outside this folder enters a namespace.
"""
