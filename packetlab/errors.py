"""Every exception packetlab raises, in one tree.

    PacketlabError
      DeclareError          a class body is wrong; raised when the class is made
      BuildError            a value does not fit its field, or a field has no value
      DissectError          bytes end early or contradict the declaration (strict dissection only)
      CaptureError          a capture file is not what it claims to be
      LocalProtocolError    you broke the protocol's rules
        SocketMisuse        ... in a call that BSD answers with an errno; an OSError with that errno too
      RemoteProtocolError   they broke the protocol's rules
      Stalled               nothing is in flight, no timer is set, and something still waits
      NeedsPrivilege        the kernel refuses, with what is missing and what to do
      Mismatch              packets are not those expected; an AssertionError too, since tests raise it

A message always reads: where, expected, got. The same three are attributes, so a program need not
parse the text. What is not printable (in a file name, say) is escaped in the message, not in the attributes.
Time running out is the built-in TimeoutError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from numbers import Real
from typing import Any, TypeVar

from packetlab.escaping import printable


def deliberate(info: Any) -> bool:
    """Whether an error (pytest's ``ExceptionInfo``) is meant for the caller: then pytest hides the frames of a module that
    has this as its ``__tracebackhide__``. Mistakes of packetlab's own keep theirs.
    """
    return bool(info.errisinstance((PacketlabError, OSError)))


class PacketlabError(Exception):
    """Base of all errors of this package.

    Attributes:
        where: what the error is about ("IDP.hops", "frame 12: Ether/IDP/SPP.seq", a file name).
        expected: what would have been right, or None where the message says it all.
        got: what was there instead, or None.
    """

    def __init__(self, where: str, expected: object = None, got: object = None, hint: str = "") -> None:
        self.where, self.expected, self.got, self.hint = where, expected, got, hint
        # What a mismatch says, and what a program printed, goes over several lines; a name never does.
        text = where if isinstance(self, AssertionError) else printable(where)
        if expected is not None:
            text += f": expected {_text(expected)}"
        if got is not None:
            text += f", got {_text(got)}" if expected is not None else f": got {_text(got)}"
        if hint:
            text += f" ({hint})"
        super().__init__(printable(text, "\n"))


def _text(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 512:  # Python refuses to write numbers of some thousand digits
        return f"a number of {value.bit_length()} bits"
    return str(value)


class DeclareError(PacketlabError):
    """A header class body, a rule or a binding is wrong."""


class BuildError(PacketlabError):
    """A value does not fit its field, or a field that needs a value has none."""


class DissectError(PacketlabError):
    """Bytes do not hold what the declaration asks for. Only raised with ``strict=True``."""


class CaptureError(PacketlabError):
    """A capture file is damaged, cut short or of an unknown kind."""


class LocalProtocolError(PacketlabError):
    """Our side requested something that the protocol forbids."""


# Of two names for a number Python has the one that BSD and the manuals do not: ENOTSUP, EDEADLOCK.
ERRNO_NAMES = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}


class SocketMisuse(LocalProtocolError, OSError):
    """A call that a socket cannot serve as it is now: an `OSError` with the errno that BSD answers it with.

    So one handler, ``except OSError``, serves the sockets of every family, the kernel's own among them. `hint` is the way
    out, in words.
    """

    def __init__(self, number: int, where: str, expected: object, got: object, hint: str) -> None:
        super().__init__(where, expected, got, f"{ERRNO_NAMES.get(number, str(number))}: {hint}")
        self.errno, self.strerror = number, os.strerror(number)
        self._given = number, where, expected, got, hint

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


C = TypeVar("C", bound=OSError)


NUMBERS: dict[type[OSError], int] = {
    ConnectionAbortedError: errno.ECONNABORTED,
    ConnectionRefusedError: errno.ECONNREFUSED,
    ConnectionResetError: errno.ECONNRESET,
    TimeoutError: errno.ETIMEDOUT,
    BlockingIOError: errno.EAGAIN,
}


def broken(kind: type[C], text: str, number: int | None = None) -> C:
    """Return an error of a connection, or of a wait, with its errno, as the kernel's have it, and nothing but `text` as its
    text.
    """
    error = kind(text)
    error.errno = NUMBERS[kind] if number is None else number
    return error


def unbuildable(error: PacketlabError, where: str) -> SocketMisuse:
    """Return the error for sending a packet that cannot be built, with the name of where it was to go."""
    hint = "one that is sent has a value for each field, and no pattern"
    return SocketMisuse(errno.EINVAL, f"{where}: {error.where}", error.expected, error.got, hint)


class RemoteProtocolError(PacketlabError):
    """The other side did something that the protocol forbids."""


class Stalled(PacketlabError):
    """Nothing is in flight and no timer is set, so what is waited for can never come."""


class NeedsPrivilege(PacketlabError, PermissionError):
    """The kernel refused, EPERM: which capability or setting is missing, and what to do."""

    def __init__(self, where: str, expected: object = None, got: object = None, hint: str = "") -> None:
        super().__init__(where, expected, got, hint)
        self.errno, self.strerror = errno.EPERM, os.strerror(errno.EPERM)

    def __str__(self) -> str:
        return str(self.args[0])


class Mismatch(PacketlabError, AssertionError):
    """What was seen on a network is not what a test expects."""


def above_zero(where: str, **values: float | None) -> None:
    """BuildError for an argument that is neither None nor a number above 0."""
    for name, value in values.items():
        if value is not None and not (isinstance(value, Real) and value > 0):
            raise BuildError(f"{where}: {name}", "a number above 0", value if isinstance(value, Real) else repr(value))


def near_or_all(name: str, known: Iterable[str]) -> str:
    """Return the `suggestion` for a name, or where none is near ``there is x, y, z`` with what is known."""
    names = list(dict.fromkeys(known))
    return suggestion(name, names) or f"there is {', '.join(names[:24])}{', ...' * (len(names) > 24)}" * bool(names)


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name nearest to `name`, or an empty string."""
    import difflib  # only an error path needs it

    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""
