"""Rules, sizes and conditions that are the same in all packets: scans find what objects find."""

from __future__ import annotations

from packetlab import U8, Capture, Ether, Header, bindings, field, when
from packetlab.declare.expressions import expression


def test_what_does_not_depend_on_the_packet_has_a_column_too() -> None:
    with bindings():

        class Same(Header, under=Ether, when={"type": 0x88B5}, payload_size=expression(2)):
            kind: U8 = 3
            never: U8 | None = when(field("kind").one_of(), 1)
            always: U8 | None = when(expression(1), 7)

        packets = [Ether() / Same(kind=n) / bytes([n, 0]) for n in (1, 2, 3)]
        captured = Capture.of(packets)
        names = ("same.always", "same.kind", "same.payload")
        table = captured.table(*names, engine="rows")
        assert table["same.kind"].tolist() == [1, 2, 3]
        assert table["same.always"].tolist() == [7, 7, 7]
        assert [bytes(value) for value in table["same.payload"]] == [b"\1\0", b"\2\0", b"\3\0"]
        assert captured.where("same.kind in {}").count() == 0
        assert captured.where("same.always in {7}").count() == 3
