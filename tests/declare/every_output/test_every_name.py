"""Every public name of the language stands in a sample, so that a mechanism without a row of the page is noticed."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import packetlab
from packetlab.packet.header import HeaderType
from tests.conftest import ROOT
from tests.declare.every_output.table import shown

SAMPLES = Path(__file__).parent / "samples"
ALIKE = {
    r"[US]\d+(le)?": "kinds of numbers that differ in their width, sign or byte order alone",
    r"F\d+(le)?": "the same of floats",
    r"UnixTime\w*": "the same of times",
    r"HexDigits": "digits of base 16",
    r"MAC|IPv6Address|XNSAddressField|XNSAddress": "addresses, as IPv4Address",
    r"duration": "times, as timestamp",
    r"receiver": "the other end of sender",
    r"Kind|Transform|UnfitError": "classes to derive from and to catch: tests/declare/test_own_kinds.py and transforms/test_own.py",
    r"TemplateRecord": "what Records holds",
    r"any_value|between|contains|masked|same_as": "patterns of packets that are there: a column of the page",
}
"""Names in no sample, and why not."""


def public_names() -> set[str]:
    """Return the names of the language: those that `packetlab.__init__.pyi` has from its folder."""
    stub = ast.parse(Path(packetlab.__file__).with_name("__init__.pyi").read_text("utf-8"))
    found = [node for node in stub.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("packetlab.declare")]
    return {name.asname or name.name for node in found for name in node.names}


def test_every_name_of_the_language_is_in_a_sample() -> None:
    words = set(re.findall(r"\w+", "\n".join(path.read_text("utf-8") for path in SAMPLES.glob("*.py"))))
    missing = public_names() - words
    assert {name for name in missing if not any(re.fullmatch(alike, name) for alike in ALIKE)} == set()
    assert [alike for alike in ALIKE if not any(re.fullmatch(alike, name) for name in missing)] == []


OTHERWISE = {"opaque", "unsized", "partial", "quotes", "pseudo", "sets"}
"""Options of a class that IPv4, IPv6, ICMP and TCP have: tests/wire tries them, in each output by the headers themselves."""


def test_every_option_of_a_class_is_in_a_sample() -> None:
    words = set(re.findall(r"(\w+)=", "\n".join(path.read_text("utf-8") for path in SAMPLES.glob("*.py"))))
    known = inspect.signature(HeaderType.__init__).parameters.values()
    options = {one.name for one in known if one.kind is inspect.Parameter.KEYWORD_ONLY}
    assert options - words == OTHERWISE


@pytest.mark.parametrize("function", [packetlab.many, packetlab.sized, packetlab.pad, packetlab.at, packetlab.text, packetlab.digits, packetlab.through])
def test_every_option_of_a_field_is_in_a_sample(function: Callable[..., object]) -> None:
    text = "\n".join(path.read_text("utf-8") for path in SAMPLES.glob("*.py"))
    options = {one.name for one in inspect.signature(function).parameters.values() if one.kind is inspect.Parameter.KEYWORD_ONLY}
    calls = [node for path in SAMPLES.glob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    said = {word.arg for node in calls if isinstance(node.func, ast.Name) and node.func.id == function.__name__ for word in node.keywords}
    assert text and options - said == set()


def test_every_row_has_a_line_in_the_benchmark() -> None:
    lines = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests" / "benchmarks" / "mechanisms").glob("*.py"))
    timed = set(re.findall(r'Line\(\s*"(M\d+)",\s*"([^"]+)"', lines))
    rows = {tuple(title.split(" ", 1)) for title in shown() if title.startswith("M")}
    assert rows - timed == set()
