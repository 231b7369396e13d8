"""Hypothesis strategies from declarations: headers and packets that are well formed, and shrink to readable ones.

Values that follow from rules (lengths, checksums, numbers of the next header) are left to the rules, so whatever is drawn
can be dissected again without a fault. Owns what is drawn; how one field is drawn is `field_strategies`'. Hypothesis is
imported when the first strategy is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from packetlab.bulk.scan import following
from packetlab.codec.around.outer import reaches_out
from packetlab.codec.objects import classes
from packetlab.declare import registry
from packetlab.declare.annotations import is_header
from packetlab.declare.declaration import Declaration
from packetlab.declare.plan import needs
from packetlab.errors import BuildError, suggestion
from packetlab.export import field_strategies
from packetlab.export.classes_found import becoming, solved
from packetlab.export.drawn_so_far import may_stand
from packetlab.export.from_type import installed, needed, register
from packetlab.export.whole_headers import whole_again
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.protocols.link import Ether

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

H = TypeVar("H", bound=Header)
Values = Literal["valid", "any"]
TRIES = 8  # times that a header is drawn whose values may not fit each other
DEPTH = 6  # headers that `packets()` stacks at most

if installed():
    register()


def headers(cls: type[H], *, values: Values = "valid", **fields: object) -> SearchStrategy[H]:
    """Return a strategy for headers of a class; simplest is the one with all defaults.

    Args:
        values: "valid" draws named values where a field has names, "any" every pattern of its bits.
        fields: for single fields, a value, or a strategy for values. A derived field is drawn only where it is
            named here.

    Raises:
        BuildError: no field of that name; or a class that only a header around it can find, or that cannot be built without one:
            the header that holds it is drawn with it.
        ImportError: Hypothesis is not installed (the extra `strategies`).
    """
    needed("pl.strategies")
    from hypothesis import strategies as st

    for name in fields:
        if name not in cls._by_name:
            raise BuildError(
                f"{cls.__name__}.{name}", "a field of the header", "no such name", suggestion(name, cls._by_name)
            )

    kinds = [one for one in becoming(cls._declaration) if may_stand(one, (), alone=True)]
    if not kinds and not fields:
        said = cls._declaration.when
        hint = "draw the header that holds it"
        raise BuildError(cls.__name__, "a header that is one by itself", f"one that is found by a header around it ({said})", hint)

    @st.composite
    def header(draw: Any) -> H:
        # What a header becomes is one too, unless fields are named, which say what it is.
        for _ in range(TRIES):
            one = cls._declaration if fields else draw(st.sampled_from(kinds))
            made = cast("H", field_strategies.header(draw, one, values, fields, top=True, alone=True))
            if fields or whole_again(made):
                return made
        return _built(made, values)

    return header()


def _built(header: H, values: Values) -> H:
    """Return a header of which nothing that was drawn reads back, where that may be: with any values, or by what stands around it.

    Else none is drawn, which is rare. BuildError for a class that cannot stand alone.
    """
    from hypothesis import reject

    try:
        bytes(header)
    except BuildError as error:
        if reaches_out(header._declaration):
            raise BuildError(type(header).__name__, "a header that can be built by itself", str(error), "draw the header that holds it") from None
        reject()
    if values == "valid" and not reaches_out(header._declaration):
        reject()
    return header


def packets(
    *layers: type[Header] | Header | SearchStrategy[Header],
    values: Values = "valid",
    payload: bytes | SearchStrategy[bytes] | None = None,
    first: type[Header] = Ether,
) -> SearchStrategy[Packet]:
    """Return a strategy for packets that read back as they were built, without a fault.

    Args:
        layers: header classes, prototypes (what they give is kept, the rest is drawn) or strategies for headers,
            from the outermost in. None at all: any stack of headers that bindings allow, up to six, from `first` on.
        payload: after the last header; up to 64 bytes where it is not said.

    Where a payload would be read as yet another header, there is none.

    Raises:
        ImportError: Hypothesis is not installed (the extra `strategies`).
    """
    needed("pl.strategies")
    from hypothesis import strategies as st

    # After headers alone bytes are drawn; empty ones are the simplest.
    raw = st.binary(max_size=64) if payload is None else payload if not isinstance(payload, bytes) else st.just(payload)

    @st.composite
    def packet(draw: Any) -> Packet:
        stack = list(layers) or _walked(draw, first, st)
        made: list[Header] = []
        for layer in reversed(stack):  # from the top, since what lies above says what has to lead there
            made.insert(0, _drawn(draw, layer, made[0]._declaration if made else None, values))
        return _readable(made, draw(raw), layers)

    return packet()


def _walked(draw: Any, first: type[Header], st: Any) -> list[type[Header]]:
    """Draw a path through the bindings."""
    stack = [first._declaration]
    for _ in range(draw(st.integers(0, DEPTH - 1))):
        above = following(stack[-1])
        if above:
            stack.append(draw(st.sampled_from(above)))
    return [classes[one] for one in stack]


def _drawn(draw: Any, layer: Any, upper: Declaration | None, values: Values) -> Header:
    if isinstance(layer, Header):
        cls, fields = (
            layer._declaration,
            {f.name: getattr(layer, f.slot) for f in layer._fields if layer._state & f.bit},
        )
    elif is_header(layer):
        cls, fields = layer._declaration, {}
    else:
        return draw(layer)  # type: ignore[no-any-return]
    if upper is not None:
        # What would keep the header above from being read stays at its default, such as the place of a fragment.
        hiding = [rule for rule in (cls.opaque, cls.partial) if rule is not None]
        fields = {**{name: None for rule in hiding for name in needs(rule)}, **_leading_to(cls, upper), **fields}
    said = isinstance(layer, Header) or reaches_out(cls)  # what is given need not read back, or does only where it stands
    for _ in range(TRIES):
        made = field_strategies.header(draw, cls, values, fields, top=upper is None)
        if said or whole_again(made):
            return made
    return made if upper is not None else _built(made, values)


def _leading_to(lower: Declaration, upper: Declaration) -> dict[str, Any]:
    """Return values to draw from, by field, with which the condition of a binding holds that sets none itself."""
    from hypothesis import strategies as st

    for condition, sets, bound in registry.conditions(lower):
        if bound is upper and not sets:
            return {name: st.sampled_from(numbers) for name, numbers in solved(condition).items()}
    return {}


def _readable(made: list[Header], payload: bytes, wanted: tuple[object, ...]) -> Packet:
    """Return the packet, or as much of it as is read back the way it was built."""
    packet = Packet(tuple(made), payload)
    if _reads_back(packet):
        return packet
    bare = made[:-1] + [type(made[-1])()]
    if wanted:
        # The stack is the user's, readable or not; only what is drawn gives way: the payload, then a number that
        # means something else than it says.
        for less in (made, bare) if isinstance(wanted[-1], type) else (made,):
            if _reads_back(Packet(tuple(less))):
                return Packet(tuple(less))
        return packet
    for size in range(len(made), 0, -1):
        for top in (made[size - 1], type(made[size - 1])()):
            packet = Packet((*made[: size - 1], top))
            if _reads_back(packet):
                return packet
    return packet


def _reads_back(packet: Packet) -> bool:
    try:
        data = bytes(packet)
        back = dissect(data, type(packet._headers[0]))
        layers = packet.layers
    except BuildError:
        return False
    same = [type(h) for h in back.layers] == [type(h) for h in layers] and back.payload == packet.payload
    return same and not back.faults and back.layers == layers
