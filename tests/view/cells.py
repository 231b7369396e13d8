"""A notebook's cell: what IPython's own formatter makes of the thing at its end."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from IPython.core.interactiveshell import InteractiveShell


def cell(thing: Any) -> dict[str, str]:
    """Return what IPython shows of a thing at the end of a cell. A method that raises is printed by it, and fails here."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        shown: dict[str, str] = InteractiveShell.instance().display_formatter.format(thing)[0]
    assert said.getvalue() == ""
    return shown


def html_of(thing: Any) -> str:
    """Return the HTML of that."""
    return cell(thing)["text/html"]
