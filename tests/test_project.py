"""What the project promises around its code: repeatable runs, few rights, a way to report."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packetlab import Lab
from tests.conftest import ROOT

CONSTRAINTS = ROOT / ".ci" / "constraints.txt"


def pinned() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines)  # type: ignore[union-attr]


def test_ci_uses_one_version_of_everything_and_each_fits_what_users_may_have() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = pinned()
    for text in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        request = Requirement(text)
        if canonicalize_name(request.name) != "packetlab":
            assert versions[canonicalize_name(request.name)] in request.specifier, text
    assert "PIP_CONSTRAINT" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_workflows_have_few_rights_and_name_the_code_they_run() -> None:
    workflows = list((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"(?m)^permissions:\n  contents: read$", text), path
        uses = re.findall(r"uses: (\S+)(.*)", text)
        assert uses
        for action, comment in uses:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v[\d.]+", comment), comment


def test_there_is_a_way_to_report_a_weakness() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
    assert "private vulnerability reporting" in text and not re.search(r"\S@\S", text)


@pytest.mark.slow
def test_a_capture_that_a_script_put_in_the_background_ends_by_an_interrupt(lab: Lab, tmp_path: Path) -> None:
    # A shell without job control has its background programs ignore interrupts; tcpdump takes them all the same.
    script = """
        "$1" -m packetlab capture -i lo -w here.pcapng 2>said &
        while ! [ -s here.pcapng ]; do ping -c1 127.0.0.1 >/dev/null || sleep 0.05; done
        kill -INT $!
        wait $! && cat said
    """
    done = lab.host("a").run(
        "sh",
        "-c",
        textwrap.dedent(script),
        "sh",
        sys.executable,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        timeout=100,
    )
    assert done.returncode == 0 and "frames captured" in done.stdout, done.stdout + done.stderr
