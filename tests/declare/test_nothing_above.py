"""Headers that nothing follows, and payloads that are named wrongly: refused when the class is made, or the packet."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import (
    ARP,
    U8,
    U16,
    U32,
    UDP,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Payload,
    auto,
    bindings,
    count_of,
    crc32,
    dissect,
    field,
    has,
    size_of,
    sized,
    span,
    when,
)


def made(bases: tuple[Any, ...] = (Header,), options: dict[str, Any] | None = None, **fields: Any) -> type[Header]:
    """Return a header class with some fields, as name=(annotation, right-hand side) or name=annotation."""
    pairs = {name: said if isinstance(said, tuple) else (said, None) for name, said in fields.items()}
    body = {name: right for name, (_, right) in pairs.items() if right is not None}
    annotations = {name: annotation for name, (annotation, _) in pairs.items()}
    meta: Any = type(Header)
    cls: type[Header] = meta(
        "Some", bases, {"__module__": __name__, "__annotations__": annotations, **body}, **(options or {})
    )
    return cls


def test_a_last_header_has_no_payload_and_no_size_of_one() -> None:
    with bindings():
        low = made(n=(U8, auto(size_of("payload"))))
        for bases, options, fields, words in (
            ((Header,), {"last": True}, {"y": (U8, 1), "p": Payload, "z": (U8, 2)}, "p, where its payload stands"),
            ((Header,), {"payload_size": 0}, {"y": (U8, 1), "p": Payload}, "p, where its payload stands"),
            ((Header,), {"last": True}, {"n": (U8, auto(size_of("payload")))}, r"n = auto\(size_of\(payload\)\)"),
            ((Header,), {"last": True}, {"n": (U8, auto(size_of("payload") + size_of("self")))}, "since there is none"),
            ((low,), {"last": True}, {"more": (U8, 1)}, "since there is none"),
        ):
            with pytest.raises(DeclareError, match=words):
                made(bases, options, **fields)


def test_a_header_above_the_last_one_is_refused_and_bytes_only_fill_the_packet() -> None:
    with bindings():

        class Report(Header, under=UDP, port=7000, last=True):
            x: U8 = 1

        low = Ether() / IPv4() / UDP()
        for packet in (low / Report() / Report(), low / Report() / UDP(), Ether() / ARP() / IPv4()):
            for _ in range(20):  # the function for a stack that keeps coming says so too
                with pytest.raises(BuildError, match="expected no header above it, since it is the last, got"):
                    bytes(packet)
        for packet in (low / Report() / b"zzz", low / Report()):
            assert [bytes(packet) for _ in range(20)] == [bytes(packet)] * 20 and Report in dissect(bytes(packet))
        assert dissect(bytes(Ether() / ARP() / bytes(18))).trailer == bytes(18)


@pytest.mark.parametrize(
    "right", [size_of("body"), size_of("body") + 1, count_of("body"), has("body"), field("body")], ids=str
)
def test_a_rule_that_names_the_payload_by_its_field_says_how_to_name_it(right: Any) -> None:
    with pytest.raises(
        DeclareError, match=r'Some\.n: expected the payload as "payload", got \'body\' \(size_of\("payload"\)'
    ):
        made(n=(U8, auto(right)), body=Payload)
    with bindings(), pytest.raises(DeclareError, match='the payload as "payload"|numbers, field'):
        made(n=(U8, 0), body=Payload, c=(U16, when(right == 1, 2)))
    for field_, said in (
        (U32, auto(crc32("body"))),
        (U32, auto(crc32(span("n", "body")))),
        (Bytes, sized(size_of("body"))),
    ):
        with pytest.raises(DeclareError, match='the payload as "payload"|numbers, field'):
            made(n=(U8, 0), body=Payload, c=(field_, said))
