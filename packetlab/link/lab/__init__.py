"""A rootless lab: hosts in network namespaces, links of veth pairs, programs in them.

    lab, lab_host    the lab and its hosts; `program` what runs in one; `unanswered` an address without a kernel
    namespaces       the process that holds the namespaces; `relay` one that impairs a link

Nothing outside this folder enters a namespace. Begin with `lab`; it runs where the kernel grants namespaces:

    with Lab() as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b, delay=0.05)
        print(a.run("ping", "-c1", b.address))
"""
