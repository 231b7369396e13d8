"""A plain install, without any extra: the package can be imported, looked through and read about."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import packetlab

pytestmark = pytest.mark.slow

EXTRAS = (
    "hypothesis numba llvmlite cypcap pyarrow fsspec distributed matplotlib rich shtab IPython pytest polars pandas "
    "websockets kosoku"
)

WITHOUT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS.split()}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
import packetlab as pl
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", WITHOUT + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_name_of_dir_is_there_and_a_star_import_inspect_and_help_take_them() -> None:
    said = run("""
print([name for name in dir(pl) if not hasattr(pl, name)])
import inspect, pydoc
print(*(name for name, _ in inspect.getmembers(pl)))
print(pydoc.plain(pydoc.render_doc(pl)))
""")
    missing, seen, text = said.split("\n", 2)
    assert missing == "[]"
    assert {"strategies", "Header", "UDP", "plot_rate", "U64", "Lab"} <= set(seen.split())
    assert "class UDP" in text and "dissect(" in text and len(text) > 100_000
    run("from packetlab import *; strategies, Beacon_ = strategies, U8")


@pytest.mark.parametrize("call", ["headers(pl.UDP)", "packets(pl.UDP)"])
def test_strategies_say_what_they_need_when_they_are_used(call: str) -> None:
    said = run(f"""
try:
    pl.strategies.{call}
except ImportError as error:
    print(error)
""")
    assert said.strip() == "pl.strategies needs Hypothesis: pip install 'packetlab[strategies]'"


def test_dissect_alone_knows_every_header_of_the_package() -> None:
    frame = "ffffffffffff00000000000008004500001d0000000040117ad1000000000000000000000000000987dc78"
    said = run(f"print([type(layer).__name__ for layer in pl.dissect(bytes.fromhex({frame!r})).layers])")
    assert said.strip() == "['Ether', 'IPv4', 'UDP']"


def test_names_are_found_where_the_stub_says() -> None:
    stub = ast.parse(Path(packetlab.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    listed = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert listed == packetlab._WHERE and len(listed) > 200


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert run("print(hasattr(pl, 'nosuch'))").strip() == "False"


def test_help_says_what_an_annotation_is() -> None:
    names = ["MAC", "IPv4Address", "IPv6Address", "XNSAddressField", "Bytes", "Rest", "Payload", "S16le"]
    texts = run("\n".join(f"help(pl.{name}); print('-----')" for name in names)).split("-----\n")[:-1]
    assert len(texts) == len(names) and "signed, little-endian: -32768 to 32767" in texts.pop()
    for text in texts:
        assert "byte" in text or "lies above" in text
        assert "annotated type" not in text


def test_the_import_alone_loads_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import packetlab; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith("packetlab")] == ["packetlab", "packetlab.hooks"]
    assert not {"re", "typing", "enum", "dataclasses", "numpy"} & set(loaded)


def test_a_program_with_a_few_names_loads_no_module_that_it_has_no_use_for() -> None:
    code = "import sys; from packetlab import Header, Ether, IPv4, TCP, dissect; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"uuid", "platform", "string", "datetime", "decimal", "fractions", "numpy", "netaddr"} & set(done.stdout.split())
