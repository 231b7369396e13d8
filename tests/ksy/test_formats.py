"""Kaitai's descriptions of network protocols become classes, and source that makes the same classes."""

from __future__ import annotations

from typing import Any

import pytest

from packetlab import DeclareError, bindings, describe, import_ksy
from packetlab.cli import main
from tests.ksy.again import ALL, FORMATS, LARGE, MISSING


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in LARGE)) for one in ALL if one != MISSING])
def test_a_format_and_its_printed_source_are_the_same_classes(name: str) -> None:
    found = import_ksy(FORMATS / f"{name}.ksy")
    with bindings():
        classes = {cls.__name__: describe(cls) for cls in found.declare()}
    with bindings():
        names: dict[str, Any] = {"__name__": "described"}
        exec(compile(str(found), name, "exec"), names)
        assert {one: describe(names[one]) for one in classes} == classes
    assert [*classes][0] == found.name


def test_an_import_that_is_not_there_is_named_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    path = FORMATS / f"{MISSING}.ksy"
    with pytest.raises(
        DeclareError,
        match=r"v2\.ksy:12: expected the file that is imported, /windows/windows_systemtime, got no .*folders=",
    ):
        import_ksy(path)
    assert main(["import", "ksy", str(path)]) == 2
    assert "/windows/windows_systemtime" in capsys.readouterr().err


def test_the_command_writes_a_module(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = FORMATS / "udp_datagram.ksy", tmp_path / "udp.py"
    assert main(["import", "ksy", str(path), "-o", str(out)]) == 0
    assert main(["import", "ksy", str(path)]) == 0
    assert out.read_text() == capsys.readouterr().out == str(import_ksy(path))


@pytest.mark.slow
def test_two_files_that_share_types_go_together() -> None:
    with bindings():
        for name in ("ethernet_frame", "ipv6_packet", "pcap", "protocol_body"):
            import_ksy(FORMATS / f"{name}.ksy").declare()
