"""The names of a class body while Python reads it."""

from __future__ import annotations

import sys
from types import FunctionType

from packetlab.declare.classbody.slips import imported, wide_number
from packetlab.errors import DeclareError, suggestion


class Annotations(dict[str, object]):
    """The annotations of a class body, where Python would let a second field of a name replace the first."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self.header = header

    def __setitem__(self, name: str, annotation: object) -> None:
        if name in self:
            raise DeclareError(f"{self.header}.{name}", "one field of each name", "two")
        super().__setitem__(name, annotation)


class Namespace(dict[str, object]):
    """What a class body has defined so far. A name that is defined nowhere is most often a field's, without quotes."""

    def __init__(self, header: str) -> None:
        super().__init__(__annotations__=Annotations(header))
        self.header = header

    def __getitem__(self, name: str) -> object:
        """Return what the body has under a name. DeclareError where a field has the name of a function of packetlab that is meant."""
        found, frame, library = super().__getitem__(name), sys._getframe(1), sys.modules.get("packetlab")
        if frame.f_locals is self and not callable(found) and name in getattr(library, "__all__", ()):
            word = getattr(library, name)
            if isinstance(word, FunctionType) and frame.f_globals.get(name, word) is word:
                hint = f"import packetlab as pl, and pl.{name}(...) in this class; or another name for the field"
                raise DeclareError(f"{self.header}.{name}", f"{name}(...) of packetlab", f"the field {name}, which is declared before it", hint)
        return found

    def __missing__(self, name: str) -> object:
        frame = sys._getframe(2)  # that of the body, which asked `__getitem__`
        known = name in frame.f_globals or name in frame.f_builtins or name in frame.f_code.co_freevars
        if known or name.startswith("__"):
            raise KeyError(name)  # Python goes on to look there
        hint = f'rules name fields in quotes: field("{name}") is its value, size_of("{name}") its size'
        public = [one for one in getattr(sys.modules.get("packetlab"), "__all__", ()) if len(one) > 2 and one[0].isupper()]
        starts = [one for one in public if name.startswith(one)]  # MACAddress: nearer to MAC than to IPv4Address
        if way := wide_number(name) or imported(name):
            raise DeclareError(self.header, "a name that is defined", name, way)
        meant = f"did you mean {max(starts, key=len)!r}?" if starts else suggestion(name, public) if name[0].isupper() else ""
        raise DeclareError(self.header, "a name that is defined", name, f"{meant} or: {hint}" if meant else hint)
