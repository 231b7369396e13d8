"""Networks, hosts and sockets show themselves: as text, as tables, as a picture."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ElementTree
from typing import Any

import packetlab as pl
from packetlab.view.display import text_of
from packetlab.view.topology import network_svg
from tests.view.cells import cell, html_of
from tests.view.hostile import HOSTILE, check_harmless, check_printable, read

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def ring(size: int) -> pl.SimNetwork:
    net = pl.SimNetwork()
    hosts = [net.host(f"h{n}") for n in range(size)]
    for one, other in zip(hosts, hosts[1:] + hosts[:1], strict=True):
        net.link(one, other, delay=0.05, loss=0.1)
    return net


def test_a_simulated_network_says_its_hosts_and_how_its_links_are_now() -> None:
    net = ring(3)
    net.links[0].change(loss=0.5)
    net.links[1].sends["h2"].change(drop=[3])
    net.links[2].partition()
    text = text_of(net)
    for said in (
        "3 nodes, 3 links",
        "10.0.0.1",
        "02:00:00:00:00:01",
        "loss 50%",
        "partitioned",
        "h2 sends",
        "drop of frames 3",
    ):
        assert said in text
    svg = network_svg(net.topology())
    for said in ("h0", "h1", "h2", "delay 50 ms", "loss 50%"):
        assert said in words(svg)


def test_hosts_do_not_stand_on_each_other() -> None:
    for size in (3, 4, 7, 12):
        root = ElementTree.fromstring(network_svg(ring(size).topology()))  # noqa: S314
        boxes = [
            tuple(float(box.get(k, "")) for k in ("x", "y", "width", "height")) for box in root.iter(f"{SVG}rect")
        ][1:]
        assert len(boxes) == size
        for i, (x, y, w, h) in enumerate(boxes):
            for x2, y2, w2, h2 in boxes[:i]:
                assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_link_of_several_hosts_is_one_link() -> None:
    net = pl.SimNetwork()
    net.link(net.host("a"), net.host("b"), net.host("c"))
    root = ElementTree.fromstring(network_svg(net.topology()))  # noqa: S314
    assert len([*root.iter(f"{SVG}line")]) == 3
    assert "a -- b -- c" in text_of(net)


def test_links_between_the_same_hosts_do_not_lie_on_each_other() -> None:
    net = pl.SimNetwork()
    for delay in (0.1, 0.2, 0.3):
        net.link(net.host("a"), net.host("b"), delay=delay)
    root = ElementTree.fromstring(network_svg(net.topology()))  # noqa: S314
    middles = [(line.get("x2"), line.get("y2")) for line in root.iter(f"{SVG}line")]
    assert len(middles) == 6
    assert len(set(middles)) == 3
    height = int(root.get("height", ""))
    top = int(root.get("viewBox", "").split()[1])
    assert all(top <= int(text.get("y", "")) <= top + height for text in root.iter(f"{SVG}text"))


def test_a_network_without_hosts_is_no_error() -> None:
    assert "0 nodes, 0 links" in text_of(pl.SimNetwork())
    check_harmless(html_of(pl.SimNetwork()))


def test_a_lab_says_its_hosts_switches_and_links(lab: pl.Lab) -> None:
    one, other, switch = lab.host("one"), lab.host("other"), lab.switch("sw")
    lab.link(one, switch)
    lab.link(other, switch)
    lab.link(one, other, delay=0.01).change(loss=0.25)
    text = text_of(lab)
    for said in (
        "one -- sw",
        "one -- other",
        "10.0.0.0/24",
        "eth1 10.0.1.1",
        "delay 10 ms",
        "loss 25%",
        "network 402H",
    ):
        assert said in text
    check_harmless(cell(lab)["text/html"])
    assert "10.0.0.1" in text_of(one)


def test_names_of_hosts_are_only_text() -> None:
    net = pl.SimNetwork()
    net.link(net.host(HOSTILE), net.host("b"))
    check_printable(text_of(net))
    html = html_of(net)
    check_harmless(html)
    (source,) = [value for _, name, value in read(html).attributes if name == "src"]
    svg = base64.b64decode(source.split(",")[1]).decode()
    check_printable(svg)
    root = ElementTree.fromstring(svg)  # noqa: S314
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg",
        "title",
        "style",
        "rect",
        "line",
        "text",
    }
    check_harmless(html_of(net.host(HOSTILE)))


# Hosts and sockets --------------------------------------------------------------------------------------------


def facts(thing: Any) -> dict[str, str]:
    return {line[:18].strip(): line[19:] for line in text_of(thing).splitlines()}


def test_a_socket_says_where_it_is_and_its_options() -> None:
    net = pl.SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.default_header = pl.SPP(datastream=7)
    client.timeout = 2.5
    client.connect(b.at(3000))
    said = facts(client)
    assert said["socket"] == "xns seqpacket socket of a"
    assert said["state"] == "OPEN"
    assert said["peer"] == str(client.peer)
    assert (said["timeout"], said["default_header"]) == ("2.5", "SPP(datastream=7)")
    check_harmless(cell(client)["text/html"])
    client.close()
    assert facts(client)["closed"] == "True"


def test_looking_at_a_socket_starts_nothing() -> None:
    net = pl.SimNetwork()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    sock = a.socket("seqpacket")
    assert "address" not in facts(sock)
    assert a._stack is None


def test_kernel_sockets_say_the_same_open_and_closed() -> None:
    with pl.LocalHost() as here:
        assert facts(here)["address"] == "127.0.0.1"
        sock = here.socket("datagram", family="inet")
        sock.bind(0)
        assert facts(sock)["address"] == str(sock.address)
        sock.close()
        assert facts(sock)["closed"] == "True"
