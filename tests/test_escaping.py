"""Text from outside is escaped wherever it is printed: names of files and hosts, what errors repeat."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

from packetlab import U8, Header, SimNetwork, bindings
from packetlab.cli import main
from packetlab.errors import BuildError, CaptureError, Mismatch, PacketlabError
from packetlab.escaping import lua, printable, python, safe
from tests.view.hostile import ALL, BIDI, HOSTILE, TERMINAL, check_printable

NAME = "cut\x1b]0;pwned\x07\u202e\nall is well"


@pytest.mark.parametrize("text", [*ALL, HOSTILE, "plain", "größe 東京", "a\\b'c\"", "\ud800", "", "</title>"])
def test_each_place_has_one_function_that_lets_nothing_act(text: str) -> None:
    assert printable(text).isprintable() and safe(text).isprintable()
    assert not set(safe(text)) & set("<>\"'")
    assert ast.literal_eval(python(text)) == text and python(text).isascii() and python(text).isprintable()
    assert lua(text).isascii() and lua(text).isprintable() and lua(text)[1:-1].count('"') == 0
    if text.isprintable():
        assert printable(text) == text
    assert printable(f"a\n{text}", "\n").startswith("a\n")


def test_the_message_of_an_error_is_escaped_and_its_attributes_are_not() -> None:
    error = CaptureError(NAME, "a capture", TERMINAL, BIDI)
    check_printable(str(error))
    assert "\n" not in str(error) and (error.where, error.got) == (NAME, TERMINAL)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(Mismatch("one\ntwo\x1b")) == "one\ntwo\\x1b"


@pytest.mark.parametrize("command", [["show"], ["table", "-e", "ip.src"], ["follow", "tcp"], ["ladder"], ["rewrite"]])
def test_a_file_name_on_the_command_line_does_not_act_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    broken = tmp_path / f"{NAME}.pcap"
    broken.write_bytes(b"\xd4\xc3\xb2\xa1\x02")
    more = [str(tmp_path / "out.pcap")] if command == ["rewrite"] else []
    try:
        status = main([*command, str(broken), *more])
    except SystemExit as ended:
        status = ended.code
    out, err = capsys.readouterr()
    assert status != 0 and err
    check_printable(out + err)
    assert "\nall is well" not in out + err


def test_a_folder_of_captures_names_its_broken_files_escaped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{NAME}.pcap").write_bytes(b"\xd4\xc3\xb2\xa1\x02")
    assert main(["table", "-e", "ip.src", str(tmp_path)]) != 0
    err = capsys.readouterr().err
    check_printable(err)
    assert "\\x1b]0;pwned\\x07\\u202e\\nall is well" in err and err.count("cut") == 1
    assert main(["table", "-e", "ip.src", "-o", str(tmp_path / "out"), str(tmp_path)]) != 0
    check_printable(capsys.readouterr().out)


def test_unknown_words_on_the_command_line_are_repeated_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "wireshark", TERMINAL, f"--{TERMINAL}"])
    check_printable(capsys.readouterr().err)


def test_hosts_links_and_sockets_show_their_names_escaped() -> None:
    net = SimNetwork(seed=1)
    one, two = net.host(f"a{TERMINAL}"), net.host(f"b{BIDI}")
    link = net.link(one, two)
    sockets = [one.socket("websocket"), one.socket("seqpacket")]
    for thing in (one, two, link, *sockets, *one.interfaces):
        assert repr(thing).isprintable() and str(thing).isprintable()
    with pytest.raises(PacketlabError) as caught:
        net.host(f"c{TERMINAL}").socket("seqpacket").connect(two)
    check_printable(str(caught.value))


def test_values_that_are_refused_are_repeated_escaped() -> None:
    with bindings():

        class Thing(Header):
            a: U8 = 0

        with pytest.raises(BuildError) as caught:
            Thing(**{f"a{TERMINAL}": 1})
        check_printable(str(caught.value))
