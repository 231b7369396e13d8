"""Documents: what in our pages is made from the code. `python -m tests.documents` brings these parts up to date.

- notebooks/reference.md: all of it, from docstrings and signatures (see `reference`)
- notebooks/mechanisms.md: all of it, from what every output makes of every sample (see `every_output.table`)
- notebooks/command-line.md: the tables between "<!-- options of NAME -->" and "<!-- end -->", from the commands' parsers
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from packetlab.cli import COMMANDS, parser
from tests.reference import reference

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
MADE = re.compile(r"(<!-- options of ([\w-]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, and under "packetlab" that of all."""
    top = parser()
    subs = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    return {"packetlab": top, **subs.choices}


def said(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return what a command's help tells of: all but itself, and what is taken for the sake of habit."""
    return [action for action in command._actions if action.dest != "help" and action.help != argparse.SUPPRESS]


def options(name: str) -> str:
    """Return what a command is called with, as Markdown."""
    known = parsers()
    if name == "packetlab":
        rows = [f"| [`{command}`](#{command}) | {known[command].description} |" for command in COMMANDS]
        return "| | |\n|---|---|\n" + "\n".join(rows) + "\n"
    command = known[name]
    actions = said(command)
    places = [_metavar(action) for action in actions if not action.option_strings]
    request = [
        f"{action.option_strings[0]} {_metavar(action)}"
        for action in actions
        if action.option_strings and action.required
    ]
    either = [
        " | ".join(f"{action.option_strings[0]} {_metavar(action)}".rstrip() for action in group._group_actions)
        for group in command._mutually_exclusive_groups
        if group.required
    ]
    call = " ".join(["packetlab", name, "[OPTION ...]", *request, *(f"({one})" for one in either), *places])
    lines = [f"{command.description[0].upper()}{command.description[1:]}.", "", f"`{call}`", "", "| | |", "|---|---|"]
    forms = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    for form, sub in forms[0].choices.items() if forms else ():
        lines.append(f"| `{form}` | {_cell(sub.description)} |")
        actions += [one for one in said(sub) if one.dest not in [known.dest for known in actions]]
    for action in actions:
        assert action.help, f"packetlab {name}: {action.dest} has no help"
        if action in forms:
            continue
        words = ", ".join(f"`{word}`" for word in action.option_strings) or f"`{_metavar(action)}`"
        if action.option_strings and _metavar(action):
            words += f" `{_metavar(action)}`"
        lines.append(f"| {_cell(words)} | {_cell(action.help)} |")
    return "\n".join(lines) + "\n"


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar is None and action.choices is not None:
        name = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} [{name} ...]"}.get(str(action.nargs), name)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def command_line(text: str) -> str:
    """Return the page about the command line with its tables as they are now; a command that has no section gets one."""
    for name in COMMANDS:
        if f"<!-- options of {name} -->" not in text:
            text = f"{text.rstrip()}\n\n## {name}\n\n<!-- options of {name} -->\n<!-- end -->\n"
    return MADE.sub(lambda found: found[1] + options(found[2]), text)


def documents() -> dict[Path, str]:
    """Return the pages that are made, or in part, as they should be."""
    page = NOTEBOOKS / "command-line.md"
    return {page: command_line(page.read_text(encoding="utf-8")), NOTEBOOKS / "reference.md": reference()}


if __name__ == "__main__":
    from tests.declare.every_output import table  # that page's own tests hold it against what is

    for path, text in {**documents(), table.PAGE: table.page()}.items():
        path.write_text(text, encoding="utf-8")
