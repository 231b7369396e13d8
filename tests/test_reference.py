"""Every public name and every method of a public class says what it is, and the pages made from the code are up to date."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import packetlab
from packetlab import Header, bindings
from packetlab.cli import COMMANDS
from tests.documents import command_line, documents, parsers, said
from tests.pages import ROOT, surroundings
from tests.reference import BESIDES, _is_number, markdown, members, subject_of

THINGS = {
    **{name: getattr(packetlab, name) for name in packetlab._WHERE if not _is_number(name)},
    **{f"{m}.{name}": getattr(import_module(m), name) for m, names in BESIDES.items() for name in names.split()},
}


def test_the_pages_made_from_the_code_are_up_to_date() -> None:
    with bindings():
        for path, text in documents().items():
            stale = path.read_text(encoding="utf-8") != text
            assert not stale, f"{path.name} is out of date: python -m tests.documents"


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if isinstance(thing, type) or callable(thing)])
def test_a_public_name_says_what_it_is(name) -> None:
    thing = THINGS[name]
    text = inspect.cleandoc(thing.__doc__ or "")
    assert len(text) > 10 and not text.startswith(f"{name}("), f"{name} has no docstring"
    if isinstance(thing, type):
        unsaid = [member for member, what in members(thing) if not (what.__doc__ or "").strip()]
        assert not unsaid, f"{name} has methods without a docstring: {', '.join(unsaid)}"


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if inspect.isfunction(thing)])
def test_what_a_function_takes_is_spoken_of(name) -> None:
    function = THINGS[name]
    text = function.__doc__
    wordless = [
        p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY and p.name not in text
    ]
    assert not wordless, f"{name}: nothing is said of {', '.join(p.name for p in wordless)}"


def test_every_name_of_the_package_has_a_subject() -> None:
    assert all(subject_of(module) for module in packetlab._WHERE.values())


def test_declared_headers_are_described_as_they_were_declared() -> None:
    text = (ROOT / "notebooks" / "reference.md").read_text(encoding="utf-8")
    headers = [name for name, thing in THINGS.items() if isinstance(thing, type) and issubclass(thing, Header)]
    assert len(headers) > 40
    assert "    checksum: U16 = auto(internet_checksum(" in text and text.count("(Header, under=") > 30


def test_docstrings_stay_what_they_are_in_markdown() -> None:
    text = markdown(
        "A <b> of *args.\n\nArgs:\n    one: first\n        and more. ``x < y``\n    two or three\n\nThe end."
    )
    assert (
        text == "A \\<b\\> of \\*args.\n\nArgs:\n\n- `one`: first\n  and more. ``x < y``\n- two or three\n\nThe end.\n"
    )


def test_a_command_without_a_section_gets_one() -> None:
    page = command_line("# Command line\n")
    assert all(f"\n## {name}\n" in page for name in COMMANDS)
    assert command_line(page) == page


HELP = """
import sys
from packetlab.cli import main
for name in sys.argv[1:]:
    try:
        main([name, "--help"])
    except SystemExit as end:
        print(f"end {name} {end.code}", flush=True)
"""


def test_a_commands_help_names_all_of_its_options(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # in which what it calls puts programs
    done = subprocess.run([sys.executable, "-c", HELP, *COMMANDS], capture_output=True, text=True, env=surroundings(), check=True)
    rest = done.stdout
    for name in COMMANDS:
        text, _, rest = rest.partition(f"end {name} 0\n")
        words = " ".join(text.split())
        for action in said(parsers()[name]):
            assert all(word in words for word in action.option_strings) and action.help in words, name
    assert rest == ""
