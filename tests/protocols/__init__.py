"""Real protocols, declared as a user would, and held against programs and captures that are not ours.

A file a protocol. Its declarations stand at the top, at the level of the module, where type checkers see them, within

    with (scope := Scope()):

        class DHCP(Header, under=UDP, when={"port": (67, 68)}): ...

They are bound while the tests of that file run (conftest.py sees to it), and at no other time, so that ports and types may be
the real ones. No declaration has code of its own but in `named(...)`. Each file shows, by what stands in oracle.py:

* captures of others (captures/families) have the values that tshark reads in them: `alike`;
* they have no faults, give the same bytes back, and are built alike from nothing but their values: `sound`;
* tshark reads what we build: `alike` again, for packets;
* what is cut or spoilt gives faults, never an exception, and never other bytes: `cut`, `spoilt`.

tests/test_typing.py has mypy and pyright check all of it.
"""
