"""`packetlab completion`: scripts for shells."""

from __future__ import annotations

from argparse import Namespace

from packetlab.cli.arguments import OK, WRONG, Command, complain


def add(command: Command) -> None:
    """Declare the command and its options."""
    completion = command("completion", _run, "print a completion script for a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh", "fish"), help="whose script")


def _run(args: Namespace) -> int:
    try:
        import shtab
    except ImportError:
        complain("packetlab completion: expected the package shtab, got none (pip install 'packetlab[completion]')")
        return WRONG
    from packetlab.cli import parser

    print(shtab.complete(parser(), args.shell))
    return OK
