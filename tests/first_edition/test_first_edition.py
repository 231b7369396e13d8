"""Files that the first edition wrote still load, and its public names still work.

`declarations.json` is what `describe` of commit 29a6842 gave for the two headers below, `lighthouse.pcapng` what its
`Writer(..., declare=[Lighthouse])` wrote; both are our own and under the library's licence.

    class Lantern(Header):
        kind: U8 = 1
        size: U8 = auto(size_of("text"))
        text: Octets = sized(field("size"), b"")

    class Lighthouse(Header, under=Ether, when={"type": 0x88B5}):
        magic: Annotated[bytes, octets(4)] = const(b"LITE")
        octets: U8 = 7
        signal: Annotated[Named[Signal], bits(8)] = Signal.FOG
        length: U16 = auto(size_of("lamps"))
        check: U16 = auto(internet_checksum("self"))
        keeper: MAC = "02:00:00:00:00:01"
        lamps: tuple[Lantern, ...] = many(size=field("length"), value=(Lantern(text=b"red"), ...))
        filler: Octets = pad(4)
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import packetlab as pl
from packetlab import Capture, Ether, bindings, declare_from, describe
from packetlab.bulk.batch import Batch
from packetlab.capture.reassembly import Datagram
from packetlab.engine.xns.spp import Connection
from packetlab.link.ring import Ring
from packetlab.renamed import MODULES, NAMES
from packetlab.schema.load import declarations

HERE = Path(__file__).parent
JSON, CAPTURE = HERE / "declarations.json", HERE / "lighthouse.pcapng"
BUILT = "ffffffffffff02000000000288b54c4954450701000c9cb2020000000001010372656402057768697465"  # by the first edition


def test_its_json_is_declared_and_builds_the_same_bytes() -> None:
    text = JSON.read_text()
    assert '"octets"' in text
    with bindings():
        _, lighthouse = declare_from(json.loads(text))
        packet = Ether(src="02:00:00:00:00:02") / lighthouse()
        assert bytes(packet).hex() == BUILT
        (kind,) = [row for row in describe(lighthouse)["fields"] if row["name"] == "magic"]
        assert (kind["kind"], kind["bytes"]) == ("bytes", 4)


def test_a_capture_with_its_declarations_is_read_by_them() -> None:
    offered = Capture(CAPTURE).declarations
    assert [one.name for one in offered] == ["Lantern", "Lighthouse"]
    assert "magic: Annotated[bytes, fixed_bytes(4)] = const(b'LITE')" in str(offered)
    with bindings():
        _, lighthouse = offered.declare()
        packets = list(Capture(CAPTURE).packets())
        assert bytes(packets[0]).hex() == BUILT
        assert [packet[lighthouse].octets for packet in packets] == [7, 7]  # a field of this name is a field
        assert [lamp.text for packet in packets for lamp in packet[lighthouse].lamps] == [b"red", b"white", b"green"]
        assert not any(packet.faults for packet in packets)


def test_old_and_new_words_for_the_same_are_the_same_declaration() -> None:
    old = json.loads(JSON.read_text())
    with bindings():
        new = [describe(header) for header in declare_from(old)]
        assert declare_from(old) == declare_from(new)
    assert [one.description for one in declarations(old)] == [one.description for one in declarations(new)]


def test_a_field_that_says_its_size_in_both_words_is_refused() -> None:
    row = {"name": "a", "kind": "bytes", "octets": 1, "bytes": 2}
    with pytest.raises(pl.DeclareError, match="octets"):
        declare_from({"name": "Both", "fields": [row]})


@pytest.mark.parametrize(("old", "new"), NAMES.items())
def test_an_old_name_gives_the_new_one_and_warns(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"packetlab\.{old} is now packetlab\.{new}") as caught:
        assert getattr(pl, old) is getattr(pl, new)
    assert caught[0].filename == __file__
    assert old not in dir(pl)  # nor offered where names are completed


@pytest.mark.slow
def test_a_star_import_gives_the_old_names_and_warns_of_none() -> None:
    program = "from packetlab import *; assert octets is fixed_bytes and Octets is Bytes; from packetlab import octets"
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=True)
    warned = [line for line in done.stderr.splitlines() if "DeprecationWarning" in line]
    assert len(warned) == 1 and warned[0].endswith("packetlab.octets is now packetlab.fixed_bytes")


def test_old_attributes_and_arguments_warn() -> None:
    with pytest.warns(DeprecationWarning, match="Batch.octets is now total_bytes"):
        assert Batch.of([b"123", b"4567"]).octets == 7
    with pytest.warns(DeprecationWarning, match="batch_octets= is now batch_bytes="):
        fleet = pl.scan(CAPTURE, batch_octets=1000)
    with pytest.warns(DeprecationWarning, match="Fleet.octets is now total_bytes"):
        assert fleet.octets == CAPTURE.stat().st_size
    with pytest.warns(DeprecationWarning, match="Capture.notes is now metadata"):
        assert list(Capture(CAPTURE).notes()) == list(Capture(CAPTURE).metadata())
    with pytest.warns(DeprecationWarning, match="medium= is now loop="):
        pl.LocalHost(medium=None).close()
    with pytest.warns(DeprecationWarning, match="SimNetwork.turn is now poll"):
        pl.SimNetwork().turn()
    frame = Capture(CAPTURE)[0]
    with pytest.warns(DeprecationWarning, match="notes= is now events="):
        assert Datagram.of(frame, notes=()).events == ()
    with pytest.warns(DeprecationWarning, match="notes= is now anomalies="):
        assert pl.Packet((pl.Ether(),), notes=None) == pl.Ether() / b""
    with pytest.warns(DeprecationWarning, match="odd= is now unfit="):
        pl.Columns([], 0).settle([], None, [], odd={})
    with (
        pytest.warns(DeprecationWarning, match="octets= is now buffer_bytes="),
        pytest.raises(TypeError, match="missing"),
    ):
        Ring(octets=1 << 20)


def test_the_old_names_of_a_host_and_of_its_connections_warn() -> None:
    net = pl.SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    local = pl.LocalHost(mac="02:00:00:00:00:07")
    for host in (a, local):
        with pytest.warns(DeprecationWarning, match="Host.xns_octets is now xns_bytes"):
            assert host.xns_octets() == host.xns_bytes()
        with pytest.warns(DeprecationWarning, match="Host.medium is now loop"):
            assert host.medium is host.loop
        with pytest.warns(DeprecationWarning, match="Host.story is now recent_frames"):
            assert host.story() == host.recent_frames()
    with pytest.warns(DeprecationWarning, match=r"Connection.shut is now sender.shut"):
        assert Connection(pl.XNSAddress(1, 2, 3), pl.XNSAddress(1, 4, 5), 1).shut is False


@pytest.mark.parametrize("module", MODULES)
def test_an_old_name_in_a_module_warns(module: str) -> None:
    there = import_module(module)
    for old, new in MODULES[module].items():
        with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {new}"):
            assert getattr(there, old) is getattr(there, new)
    assert not hasattr(there, "never")
