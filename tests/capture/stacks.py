"""Stacks of headers drawn at random: declarations with every kind of field and rule, and frames that fit them or do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import IntFlag
from typing import Annotated, Any

from packetlab import (
    MAC,
    U8,
    U16,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Frame,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Packet,
    Payload,
    Rest,
    XNSAddressField,
    ahead,
    auto,
    bits,
    choose,
    count_of,
    default,
    field,
    fixed_bytes,
    many,
    next_protocol,
    pad,
    size_of,
    sized,
    when,
)
from packetlab.declare.items import Items
from packetlab.declare.kinds import Address, Int
from packetlab.declare.registry import bind
from packetlab.packet.header import HeaderType

PARTS = {"net": (0, 4), "host": (4, 10), "socket": (10, 12)}  # of an XNS address


class Marks(IntFlag):
    """Flags, one of two bits."""

    LOW = 1
    SECOND = 2
    PAIR = 12
    HIGH = 128


class Stack:
    """Headers declared at random (inside `bindings()`), each bound on the one before.

    Attributes:
        headers: the classes, outermost first, Ethernet before them.
    """

    def __init__(self, noise: random.Random) -> None:
        self.noise = noise
        self.headers: list[Any] = [Ether]
        for number in range(noise.randint(1, 4)):
            for _ in range(20):  # what is drawn need not be a declaration that is accepted
                try:
                    # A subclass counts as a header of its base too.
                    base = noise.choice([Header, Header, Header, *self.headers[1:]])
                    self.headers.append(self._header(f"Drawn{number}", base))
                    break
                except DeclareError:
                    continue
        self._bind()

    def _header(self, name: str, base: Any) -> Any:
        noise = self.noise
        if base is not Header:
            return HeaderType(name, (base,), {"__module__": __name__, "__annotations__": {}})
        self.fields: dict[str, tuple[Any, Any]] = {"kind": (self._number(), 0)}
        if noise.random() < 0.3:
            self.fields["kind"] = (U16, auto(next_protocol(f"drawn.{noise.randrange(3)}", otherwise=7)))
        for number in range(noise.randint(0, 5)):
            self._field(f"f{number}")
        options: dict[str, Any] = {}
        draw = noise.random()
        if draw < 0.15:
            self.fields["length"] = (U16, auto(size_of("self") + size_of("payload")))
        elif draw < 0.3:
            self.fields["length"] = (U8, auto(size_of("payload")))
        elif draw < 0.45:
            self.fields["length"] = (U8, auto(size_of("self")))
            if noise.random() < 0.5:
                self.fields["items"] = (tuple[self._item(), ...], many())
        elif draw < 0.55:
            options["payload_size"] = field("kind") & 15
        elif draw < 0.65:
            self.fields["payload"], self.fields["tail"] = (Payload, b""), (U16, 0)
        elif draw < 0.75:
            self.fields["payload"], self.fields["fill"] = (Payload, b""), (Bytes, pad(2))
        elif draw < 0.8:
            self.fields["note"] = (Rest, b"")
        for option in ("opaque", "partial", "quotes"):
            if noise.random() < 0.1:
                options[option] = self._rule()
        body = {name: value for name, (_, value) in self.fields.items() if value is not None}
        body["__annotations__"] = {name: annotation for name, (annotation, _) in self.fields.items()}
        body["__module__"] = __name__
        return HeaderType(name, (Header,), body, **options)

    def _number(self) -> Any:
        width = self.noise.choice((8, 16, 24, 32, 40, 48, 56, 64))
        return Annotated[int, bits(width, signed=self.noise.random() < 0.3, little=self.noise.random() < 0.3)]

    def _item(self) -> Any:
        body = {"value": 0, "size": auto(size_of("data")), "data": sized(field("size"), b"")}
        body["__annotations__"] = {"value": U16, "size": U8, "data": Bytes}
        if self.noise.random() < 0.5:
            body["__annotations__"], body = {"value": U16}, {"value": 0}
            body["__annotations__"] = {"value": U16}
        return HeaderType("Item", (Header,), {**body, "__module__": __name__})

    def _field(self, name: str) -> None:
        noise, fields = self.noise, self.fields
        draw = noise.randrange(11)
        if draw == 0:  # several in one unit
            widths = noise.choice(((4, 4), (3, 5), (1, 7), (12, 4), (4, 12, 8), (60, 4), (4, 60), (1, 62, 1), (20, 12)))
            for place, width in enumerate(widths):
                signed = width > 1 and noise.random() < 0.2
                fields[f"{name}_{place}"] = (Annotated[int, bits(width, signed=signed)], 0)
        elif draw in (1, 2):
            fields[name] = (self._number(), noise.randrange(100))
        elif draw == 3:
            fields[name] = (Annotated[Marks, bits(noise.choice((8, 16)))], default(Marks(0)))
        elif draw == 4:
            fields[name] = (noise.choice((MAC, IPv4Address, IPv6Address, XNSAddressField)), None)
        elif draw == 5:
            fields[name] = (Annotated[bytes, fixed_bytes(noise.choice((1, 3, 4, 12)))], None)
        elif draw == 6:
            fields[f"{name}_size"], fields[name] = (U8, auto(size_of(name))), (Bytes, b"")
        elif draw == 7:
            size = noise.choice((field("kind") & 3, (field("kind") == 0) + (field("kind") < 3)))
            fields[name] = (Bytes, sized(size, b""))
        elif draw == 8:
            fields[name] = (noise.choice((U8, MAC, self._number())), when(self._rule(), 0))
        elif draw == 9:
            fields[f"{name}_count"], fields[name] = (U8, auto(count_of(name))), (tuple[self._item(), ...], many())
        else:
            fields[f"{name}_size"] = (U8, auto(size_of(name)))
            fields[name] = (tuple[self._item(), ...], many())

    def _rule(self, among: list[str] | None = None) -> Any:
        """Return a condition on numbers declared so far; some of its values need more than 64 bits."""
        noise = self.noise
        names = among or [
            name
            for name, (annotation, value) in self.fields.items()
            if isinstance(getattr(annotation, "__metadata__", (None,))[0], Int)
            and getattr(value, "condition", None) is None
        ]
        one, other = (field(noise.choice(names)) for _ in range(2))
        few = noise.randrange(4)
        return noise.choice((
            one == few, one - other == few, one + other > few, one * other > few, (one << 40) > (other << 8),
            (one & 3) == few, one // 3 == few, (one - other) // 2 < few, one.one_of(0, 1, 2), (one ^ other) & 1,
            (one * one * one) >> few == other, one != other, (one == few) + (other < 2) + one.one_of(0, 3) == few,
            (one < other) - (other == few) == 1, choose(one == few, one < other, other == 0) << (one > 1) == few,
            ((one == few) & (other != 1)) * (one > 0) + (other == few) > 1,
        ))  # fmt: skip

    def _bind(self) -> None:
        noise = self.noise
        for lower, upper in zip(self.headers, [*self.headers[1:], noise.choice([IPv4, *self.headers])], strict=True):
            names = [f.name for f in lower._fields if isinstance(f.kind, Int) and f.condition is None]
            try:
                if lower is Ether:
                    bind(upper, Ether, {"type": 0x88B5})
                elif noise.random() < 0.5:
                    bind(upper, lower, {"kind": tuple(noise.sample(range(8), noise.randint(1, 3)))})
                elif noise.random() < 0.2:
                    bind(upper, lower, ahead(8) == noise.randrange(4))
                else:
                    bind(upper, lower, self._rule(names))
                if noise.random() < 0.3 and lower is not Ether:
                    bind(noise.choice(self.headers[1:]), lower, self._rule(names))
            except DeclareError:
                continue

    def frames(self, count: int) -> list[Frame]:
        """Return frames: of the stack as it is declared, with values of all sizes; some of them damaged or cut."""
        noise, made = self.noise, []
        for number in range(count):
            packet: Any = Ether(type=0x88B5)
            for header in self.headers[1 : noise.randint(2, 5)]:
                packet = packet / header(**{f.name: self._value(f) for f in header._fields if self._given(f)})
            try:
                data = bytearray(bytes(packet / noise.randbytes(noise.randrange(12))))
            except (BuildError, DeclareError):
                data = bytearray(bytes(Ether(type=0x88B5)) + bytes(noise.randrange(8) for _ in range(60)))
            for _ in range(noise.choice((0, 0, 1, 4))):
                data[noise.randrange(14, len(data))] = noise.choice((0, 1, 2, 5, 255, noise.randrange(256)))
            whole = len(data)
            kept = noise.choice((whole, whole, noise.randrange(14, whole + 1)))
            made.append(Frame(bytes(data[:kept]), number, wire_length=noise.choice((whole, kept)), number=number + 1))
        return made

    def _given(self, f: Any) -> bool:
        return f.rule is None and f.condition is None and not f.pad and isinstance(f.kind, (Int, Address))

    def _value(self, f: Any) -> Any:
        noise, kind = self.noise, f.kind
        if isinstance(kind, Address):
            return noise.choice((bytes(kind.size), noise.randbytes(kind.size)))
        return (
            noise.choice((0, 1, 2, 3, 0, 1, kind.high, kind.low, noise.randint(kind.low, kind.high)))
            if kind.high > 2
            else noise.randint(0, kind.high)
        )

    def names(self) -> list[str]:
        """Return the names of all that can be queried of the headers drawn, as columns."""
        found = ["ether.type", "ipv4.ttl"]
        for header in self.headers[1:]:
            name = header.__name__.lower()
            found += [name, f"{name}.payload", f"{name}#2"]
            for f in header._fields:
                if f.name != "payload":
                    found += [f"{name}.{f.name}", f"{name}#2.{f.name}"]
                    found += [f"{name}.{f.name}.{part}" for part in self._parts(f)]
        return list(dict.fromkeys(found))

    def _parts(self, f: Any) -> list[str]:
        if isinstance(f.kind, Int):
            return [flag.name.lower() for flag in f.kind.names or () if flag]
        return list(PARTS) if isinstance(f.kind, Address) and f.kind.size == 12 else []

    def question(self, depth: int = 2) -> tuple[str, Callable[[Frame, Packet], bool]]:
        """Return a filter in words, and what it means, said of a frame and its packet made to objects."""
        noise = self.noise
        draw = noise.randrange(8) if depth else 9
        if draw in (0, 1):
            (one, first), (other, second) = self.question(depth - 1), self.question(depth - 1)
            if draw:
                return f"({one}) and {other}", lambda frame, packet: first(frame, packet) and second(frame, packet)
            return f"({one} or {other})", lambda frame, packet: first(frame, packet) or second(frame, packet)
        if draw == 2:
            words, said = self.question(depth - 1)
            return f"not ({words})", lambda frame, packet: not said(frame, packet)
        if draw == 3:
            return self._of_frame()
        header = noise.choice(self.headers[1:] or [Ether])
        nth = noise.choice((0, 0, 0, 1, 2))
        name = header.__name__.lower() + (f"#{nth}" if nth else "")

        def layers(packet: Packet) -> list[int]:
            places = [place for place, layer in enumerate(packet.layers) if isinstance(layer, header)]
            return places[nth - 1 : nth] if nth else places

        f = noise.choice([None, *header._fields, *header._fields])
        if f is None:
            return name, lambda frame, packet: bool(layers(packet))
        words, holds = self._queried(f)

        def said(frame: Frame, packet: Packet) -> bool:
            for place in layers(packet):
                raw = packet._build()[0][place] if f.name == "payload" else getattr(packet.layers[place], f.slot)
                if raw is not None and holds(
                    header._items_of(packet.layers[place], f) if words[:1] == "." and isinstance(f.kind, Items) else raw
                ):
                    return True
            return False

        return f"{name}.{f.name}{words}", said

    def _queried(self, f: Any) -> tuple[str, Callable[[Any], bool]]:
        noise, kind = self.noise, f.kind
        if isinstance(kind, Items):
            value = noise.randrange(3)
            item = [g for g in kind.item.fields if g.name == "value"][0]
            words, holds = self._number_queried(item.kind, value)
            return f".value{words}", lambda items: any(holds(one._value) for one in items if isinstance(one, Header))
        parts = self._parts(f)
        if parts and noise.random() < 0.6:
            part = noise.choice(parts)
            if isinstance(kind, Int):
                bits = int(kind.names[part.upper()])
                words, holds = self._number_queried(Int(1), noise.randrange(2))
                return f".{part}{words}", lambda raw: holds(int(raw & bits == bits))
            low, high = PARTS[part]
            value = noise.choice((bytes(high - low), noise.randbytes(high - low)))
            if part == "host":
                return f".host != {value.hex(':')}", lambda raw: raw[low:high] != value
            words, holds = self._number_queried(Int((high - low) * 8), int.from_bytes(value, "big"))
            return f".{part}{words}", lambda raw: holds(int.from_bytes(raw[low:high], "big"))
        if isinstance(kind, Int):
            return self._number_queried(kind, self._value(f))
        if isinstance(kind, Address):
            values = [self._value(f) for _ in range(2)]
            texts = [kind.text(value) for value in values]
            return noise.choice([
                (f" == {texts[0]}", lambda raw: raw == values[0]), (f" != {texts[0]}", lambda raw: raw != values[0]),
                (f" >= {texts[0]}", lambda raw: raw >= values[0]), (f" in {{{texts[0]} {texts[1]}}}", lambda raw: raw in values),
            ])  # fmt: skip
        size = (kind.bits or 0) // 8
        data = bytes(size) if size else noise.randbytes(1)
        sign = noise.choice(("==", "!=", "contains")) if size else noise.choice(("contains", "!="))
        holds = {
            "==": lambda raw: raw == data,
            "!=": lambda raw: raw != data,
            "contains": lambda raw: data in raw,
        }[sign]
        return f" {sign} {data.hex(':')}", holds

    def _number_queried(self, kind: Int, value: int) -> tuple[str, Callable[[int], bool]]:
        other = self.noise.choice((kind.low, kind.high, 0, min(1, kind.high)))
        return self.noise.choice([
            ("", lambda raw: raw != 0), (f" == {value}", lambda raw: raw == value), (f" != {value}", lambda raw: raw != value),
            (f" < {value}", lambda raw: raw < value), (f" >= {value}", lambda raw: raw >= value), (f" <= {value}", lambda raw: raw <= value),
            (f" > {value}", lambda raw: raw > value), (f" & {value}", lambda raw: raw & value != 0),
            (f" in {{{value}, {other}}}", lambda raw: raw in (value, other)),
        ])  # fmt: skip

    def _of_frame(self) -> tuple[str, Callable[[Frame, Packet], bool]]:
        low = self.noise.randrange(60)
        return self.noise.choice([
            (f"number > {low}", lambda frame, packet: frame.number > low), (f"length <= {low}", lambda frame, packet: len(frame.data) <= low),
            (f"frame.len in {{{low} {low + 1}}}", lambda frame, packet: frame.wire_length in (low, low + 1)),
            (f"time_ns & {low}", lambda frame, packet: bool((frame.time_ns or 0) & low)), ("faults", lambda frame, packet: bool(packet.faults)),
            (f"time_ns < {low << 70}", lambda frame, packet: (frame.time_ns or 0) < low << 70),
        ])  # fmt: skip
