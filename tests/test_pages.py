"""Every page's code and commands run, and print what the page says; its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import PAGES, REFERENCE, ROOT, Reader, a_lab_is_granted, blocks, commands, same


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != REFERENCE], ids=lambda page: page.name)
def test_a_page_does_what_it_says(page, tmp_path, monkeypatch, request) -> None:
    (tmp_path / "captures").symlink_to(ROOT / "captures")
    monkeypatch.chdir(tmp_path)
    lab = a_lab_is_granted()
    assert lab or not request.config.getini("packetlab_require_lab")
    reader = Reader(page, lab)
    reader.read()
    assert reader.ran == 0 or any(block.language in ("python", "console") for block in blocks(page))


@pytest.mark.slow
def test_each_section_of_how_to_declare_runs_by_itself_after_the_first_block(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, *sections = re.split(r"^(?=## )", (ROOT / "notebooks" / "how-to-declare.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(sections) > 30
    for number, section in enumerate(sections):
        page = tmp_path / f"section{number}.md"
        page.write_text(first + section, encoding="utf-8")
        reader = Reader(page, lab=False)
        reader.read()
        assert reader.ran, section.partition("\n")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_pages_links_lead_to_what_is_there(page) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        there = (page.parent / target) if target else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), f"{target}#{anchor}"


NAME = r"`([A-Za-z_][\w.]*)(?:\([^`]*)?`"
FILE = r"\[[^\]]*\]\(\.\./((?:packetlab|tests)/[^)#]+)\)"


@pytest.mark.parametrize(
    "page", [ROOT / "notebooks" / "design.md", ROOT / ".github" / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_a_name_beside_a_link_to_a_file_stands_in_that_file(page) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    pairs = [
        (name or name_after, file or file_before)
        for name, file, file_before, name_after in re.findall(
            rf"{NAME}(?:,| in)?\s\(?{FILE}|{FILE}\)?:?\s\(?{NAME}", text
        )
    ]
    assert pairs
    for name, file in pairs:
        code = (ROOT / file).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{word}\b", code) for word in name.split(".")), f"{name} is not in {file}"


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert f"(notebooks/{page.name})" in readme, page.name


def test_a_page_that_says_something_else_is_found_out(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    for wrong in (
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nprint(1)\n```\n",
        "```console\n$ echo 1\n2\n```\n",
    ):
        page.write_text(wrong)
        with pytest.raises(AssertionError, match=r"page\.md:\d+: the page shows"):
            Reader(page, lab=False).read()
    page.write_text("<!-- skip -->\n```console\n$ packetlab show x.pcap --no-such-option\n```\n")
    with pytest.raises(AssertionError, match="no option"):
        Reader(page, lab=False).read()
    assert same("a...c\n", "abc\n") and not same("a...c\n", "abd\n")
    assert list(commands("$ a \\\n  b\nout\n$ c\n")) == [("a \\\n  b", "out\n"), ("c", "")]
