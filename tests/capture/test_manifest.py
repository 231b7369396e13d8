"""Where the captures that lie here come from, and on what terms."""

from __future__ import annotations

import csv
import hashlib
import re

from tests.conftest import CORPUS

FAMILIES = CORPUS.parent / "families"

with open(CORPUS / "MANIFEST.tsv", newline="") as file:
    ROWS = [*csv.DictReader(file, delimiter="\t")]
with open(FAMILIES / "MANIFEST.tsv", newline="") as file:
    OF_FAMILIES = [*csv.DictReader(file, delimiter="\t")]


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


def test_every_capture_of_a_family_has_a_row_and_is_what_its_repository_has() -> None:
    files = {f"{path.parent.name}/{path.name}": path for path in FAMILIES.glob("*/*") if path.parent.name != "licences"}
    assert sorted(row["file"] for row in OF_FAMILIES) == sorted(files)
    for row in OF_FAMILIES:
        data = files[row["file"]].read_bytes()
        assert len(data) == int(row["bytes"]) and row["family"] == files[row["file"]].parent.name, row
        same = hashlib.sha256(data).hexdigest() == row["sha256_of_original"]
        assert same if row["cut_or_whole"] == "whole" else row["cut_or_whole"].startswith("cut: ") and not same, row


def test_every_row_of_a_family_says_where_it_is_from_and_its_licence_is_there_once() -> None:
    texts = set()
    for row in OF_FAMILIES:
        assert row["source_repository"] and row["path"] and re.fullmatch(r"[0-9a-f]{12}", row["commit"]), row
        assert row["licence"] in ("Apache-2.0", "BSD-3-Clause", "MIT", "Unlicense"), row
        texts.add(row["source_repository"].replace("/", "__") + ".txt")
    shared = {path.name for path in (CORPUS / "licences").iterdir()}
    assert texts - shared == {path.name for path in (FAMILIES / "licences").iterdir()}
