"""Where the captures that lie here come from, and on what terms."""

from __future__ import annotations

import csv
import re

from tests.conftest import CORPUS

with open(CORPUS / "MANIFEST.tsv", newline="") as file:
    ROWS = [*csv.DictReader(file, delimiter="\t")]


def test_every_capture_of_the_corpus_has_a_row() -> None:
    files = sorted(path.name for path in CORPUS.iterdir() if path.is_file() and path.name != "MANIFEST.tsv")
    assert sorted(row["file"] for row in ROWS) == files
    assert {row["file"]: int(row["size"]) for row in ROWS} == {name: (CORPUS / name).stat().st_size for name in files}


def test_every_row_names_its_licence_and_the_texts_are_there_and_no_others() -> None:
    texts = set()
    for row in ROWS:
        assert row["licence"] and row["covers"], row
        named = re.findall(r"licences/(\S+\.txt)", row["licence"])
        texts |= {*named} if row["repo"] == "generated" else {row["repo"].replace("/", "__") + ".txt"}
        assert not re.search(r"\w+\.md\b", row["licence"]), row
    assert texts == {path.name for path in (CORPUS / "licences").iterdir()}


def test_every_made_capture_is_in_the_readme() -> None:
    reported = set(re.findall(r"^\| `(\S+\.pcapng)`", (CORPUS.parent / "README.md").read_text(), re.MULTILINE))
    assert reported == {path.name for path in CORPUS.parent.glob("*.pcap*")}
