"""A transform that an earlier packet said is there: the form that the refusal of another one names."""

from __future__ import annotations

import re
import zlib as library

import pytest

from packetlab import (
    U8,
    U32,
    Context,
    DeclareError,
    Header,
    Rest,
    bindings,
    computed,
    dissect,
    field,
    recalled,
    through,
    zlib,
)


def test_the_form_that_the_refusal_names_works() -> None:
    with bindings():
        with pytest.raises(DeclareError, match=r"got recalled\('packed'\) \(a field of this header") as refused:

            class Refused(Header):
                body: Rest = through(zlib(), b"", when=recalled("packed") == 1)

        named = re.search(r"copy: U32 = (computed\(.*\))\)$", str(refused.value))
        assert named is not None
        rule = eval(named[1], {"computed": computed, "recalled": recalled})

        class Hello(Header, remembers={"packed": field("packed")}):
            packed: U8 = 1

        class Data(Header):
            copy: U32 = rule
            body: Rest = through(zlib(), b"", when=field("copy") == 1)

        for packed, sent in ((1, library.compress(b"abc" * 9)), (0, b"abc" * 9)):
            context = Context()
            dissect(bytes(Hello(packed=packed)), Hello, context=context)
            read = dissect(sent, Data, context=context)
            assert read[Data].body == b"abc" * 9 and not read.faults
            with context:
                assert dissect(bytes(Data(body=b"abc" * 9)), Data)[Data].body == b"abc" * 9
