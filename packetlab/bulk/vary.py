"""Variation: a packet as template, some of its fields varying from row to row, as one batch of frames.

Owns what users name as varying, and the grouping of rows into shapes (`plan` makes the rows of one shape, objects make
what no plan can). Row i is byte for byte what ``template.replace(...)`` with that row's values gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from packetlab.bulk.batch import Batch
from packetlab.bulk.generators import BytesColumn, ChoiceColumn, NumberColumn, values_of
from packetlab.bulk.template import Target, Template, Unplanned, named_around, shapes, varies_in_size
from packetlab.codec.compiler import replaced
from packetlab.codec.objects import classes
from packetlab.declare.fields import Field
from packetlab.declare.kinds import Address, ByteString
from packetlab.declare.values.addresses import XNSAddress
from packetlab.declare.values.views import given
from packetlab.errors import BuildError
from packetlab.hooks import hook
from packetlab.packet.header import HeaderType
from packetlab.packet.packet import Packet
from packetlab.pattern.paths import PAYLOAD, RAW, FieldPath

if TYPE_CHECKING:
    from packetlab.bulk.batch import ByteArray, Numbers
    from packetlab.bulk.generators import Rows
    from packetlab.bulk.report import VariationReport

STRETCH = 1 << 16  # rows of a stretch
CACHE = 1 << 17  # bytes that are worked on at a time, so that they stay near the processor
FEW = 4  # rows of one shape that are made quicker one by one
PLANS = 4096  # kept


class Variation(Batch):
    """Rows of a template with varying fields; a batch that is made when it is first needed its bytes.

    Attributes:
        template: the packet varied. targets: what varies. After ``data``, ``starts`` and ``sizes`` see `Batch`: rows of
        one shape lie together, so only `starts` tells their order.
    """

    __slots__ = ("_batch", "_count", "_headers", "_plans", "_shaping", "targets", "template")

    def __init__(self, template: Packet, count: int, fields: Mapping[Any, Any]) -> None:
        if count < 0:
            raise BuildError("vary", "a number of packets, 0 or more", count)
        self.template, self._count = template, count
        self._headers = template._rederived()
        if not self._headers and any(key != "payload" for key in fields):
            raise BuildError("vary", "a packet with headers", "none")
        self.targets = [_target(template, key, written, max(count, 1)) for key, written in fields.items()]
        _check_apart(self.targets)
        used = named_around(header._declaration for header in self._headers)
        self._shaping = [t for t in self.targets if t.layer >= 0 and (self._shapes(t) or (t.field is not None and t.field.name in used))]
        self._plans: dict[object, Template | None] = {}
        self._batch: Batch | None = None
        if count:
            self._check_present(self.packet(0))

    def _shapes(self, target: Target) -> bool:
        if varies_in_size(target) or isinstance(target.values, ChoiceColumn):
            return True
        return target.field is not None and shapes(type(self._headers[target.layer]), target.field)

    def _check_present(self, first: Packet) -> None:
        for target in self.targets:
            if target.field is not None and target.values.raw(0) is not None and getattr(first.layers[target.layer], target.field.slot) is None:
                raise BuildError(target.name, "a field that is there in the template", "one that is absent")

    # Rows one by one -----------------------------------------------------------------------------------------

    def packet(self, row: int) -> Packet:
        """Return one row as a packet, made from objects."""
        if not -self._count <= row < self._count:
            raise IndexError(f"no row {row} of {self._count}")
        row %= self._count
        headers = list(self._headers)
        payload = self.template.payload
        parts: dict[tuple[int, str], bytearray] = {}
        for target in self.targets:
            raw = target.values.raw(row)
            if target.field is None:
                payload = raw
            elif target.part is None:
                headers[target.layer] = replaced(headers[target.layer], {target.field.name: given(target.field.kind, raw)})
            else:
                place = (target.layer, target.field.name)
                whole = parts.setdefault(place, bytearray(getattr(self.template.layers[place[0]], target.field.slot)))
                whole[slice(*target.part)] = raw
        for (layer, name), data in parts.items():
            headers[layer] = replaced(headers[layer], {name: bytes(data)})
        return Packet(tuple(headers), payload, self.template._kept())

    # Rows in bulk --------------------------------------------------------------------------------------------

    def _keys(self, rows: Rows) -> Rows | None:
        """Return for each row the number of its shape, None where all have the same."""
        import numpy as np

        keys: Rows | None = None
        for target in self._shaping:
            values = target.values
            if isinstance(values, NumberColumn):
                column: Any = values.words(rows)
            elif isinstance(values, ChoiceColumn):
                column = values.places(rows)
            else:
                assert isinstance(values, BytesColumn)
                column = values.sizes(rows)
                if target.field is not None and not varies_in_size(target):
                    column = [bytes(one) for one in values.matrix(rows, int(values.size or 0))]
            column = np.unique(column, return_inverse=True)[1]
            if keys is not None:
                column = np.unique(keys * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1]
            keys = column
        return keys

    def _plan(self, rows: Rows) -> Template | None:
        """Return the plan for rows of one shape; None where objects have to make them."""
        import numpy as np

        key = tuple(self._shape(target, int(rows[0])) for target in self._shaping)
        if key not in self._plans:
            if len(rows) < FEW:
                return None
            first = self.packet(int(rows[0]))
            try:
                plan: Template | None = Template(first, self.targets)
            except Unplanned:
                plan = None
            if plan is not None:
                # A declaration may hold what no plan foresees: two rows are held to what objects make of them.
                two = np.zeros((2, plan.size), np.uint8)
                plan.fill(two, rows[[0, -1]])
                if [one.tobytes() for one in two] != [bytes(self.packet(int(row))) for row in rows[[0, -1]]]:
                    plan = None
            if len(self._plans) >= PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return self._plans[key]

    def _shape(self, target: Target, row: int) -> object:
        raw = target.values.raw(row)
        return len(raw) if varies_in_size(target) else raw if not isinstance(target.values, ChoiceColumn) else repr(raw)

    def _groups(self, rows: Rows) -> list[tuple[Rows | slice, Template | None]]:
        """Return (places in `rows`, their plan) for each shape."""
        import numpy as np

        keys = self._keys(rows)
        if keys is None:
            return [(slice(None), self._plan(rows))] if len(rows) else []
        order = np.argsort(keys, kind="stable")
        ends = np.flatnonzero(np.diff(keys[order])) + 1
        return [(places, self._plan(rows[places])) for places in np.split(order, ends) if len(places)]

    def _made(self, rows: Rows) -> Batch:
        import numpy as np

        groups: list[tuple[Rows | slice, Any]] = []
        sizes = np.zeros(len(rows), np.int64)
        starts = np.zeros(len(rows), np.int64)
        at = 0
        for places, plan in self._groups(rows):
            made: Any = plan or [bytes(self.packet(int(row))) for row in rows[places]]
            sizes[places] = plan.size if plan is not None else [len(one) for one in made]
            ends = np.cumsum(sizes[places]) + at
            starts[places] = ends - sizes[places]
            groups.append((places, made))
            at = int(ends[-1])
        data = np.empty(at, np.uint8)
        at = 0
        for places, made in groups:
            if not isinstance(made, Template):
                joined = b"".join(made)
                data[at : at + len(joined)] = np.frombuffer(joined, np.uint8)
                at += len(joined)
                continue
            mine = rows[places]
            matrix = data[at : at + len(mine) * made.size].reshape(len(mine), made.size)
            at += matrix.size
            step = max(CACHE // max(made.size, 1), 64)
            for first in range(0, len(mine) if made.size else 0, step):
                made.fill(matrix[first : first + step], mine[first : first + step])
        return Batch(data, starts, sizes)

    def batches(self, rows: int = STRETCH) -> Iterator[Batch]:
        """Yield the rows in order, in batches of this many; memory holds one of them."""
        import numpy as np

        for first in range(0, self._count, rows):
            yield self._made(np.arange(first, min(first + rows, self._count)))

    def batch(self) -> Batch:
        """Return all rows in one buffer, made once."""
        import numpy as np

        if self._batch is None:
            self._batch = self._made(np.arange(self._count))
        return self._batch

    @property
    def data(self) -> ByteArray:  # type: ignore[override]
        """The buffer of all rows."""
        return self.batch().data

    @property
    def starts(self) -> Numbers:  # type: ignore[override]
        """Where each row begins in it."""
        return self.batch().starts

    @property
    def sizes(self) -> Numbers:  # type: ignore[override]
        """Bytes of each row."""
        return self.batch().sizes

    @property
    def by_objects(self) -> int:
        """How many rows no plan can make: these take as long as building packets one by one."""
        import numpy as np

        total = 0
        for first in range(0, self._count, STRETCH):
            rows = np.arange(first, min(first + STRETCH, self._count))
            total += sum(len(rows[places]) for places, plan in self._groups(rows) if plan is None)
        return total

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> bytes:
        if self._batch is None:
            return bytes(self.packet(row))
        if not -self._count <= row < self._count:
            raise IndexError(f"no row {row} of {self._count}")
        return self._batch[row % self._count]

    def __iter__(self) -> Iterator[bytes]:
        for batch in self.batches() if self._batch is None else (self._batch,):
            yield from batch

    def check(self, received: object, ignoring: Any = ()) -> VariationReport:
        """Return how what was received compares with the rows of this variation, in their order.

        Args:
            received: a batch, a capture, or batches, frames or packets as they came. It is read once, in stretches.
            ignoring: fields that may have changed on the way, named as for `vary` ("ether.dst", "ip.ttl").
        """
        fields = (ignoring,) if isinstance(ignoring, (str, Field)) else tuple(ignoring)
        report: VariationReport = hook("check")(self, received, fields)
        return report

    def __repr__(self) -> str:
        names = ", ".join(target.name for target in self.targets) or "nothing"
        return f"<Variation: {self._count} of {self.template.summary()}, varying {names}>"


# What a user named --------------------------------------------------------------------------------------------------


def _target(template: Packet, key: object, written: object, count: int) -> Target:
    layer, field, path = named(template, key)
    name = f"{type(template.layers[layer]).__name__}.{field.name}" if field is not None else "payload"
    if field is None:
        return Target(name, layer, None, None, values_of(written, ByteString(), name, count, len(template.payload)))
    if not path:
        raw = getattr(template.layers[layer], field.slot)
        size = len(raw) if isinstance(raw, bytes) else 0
        absent = field.condition is not None or field.tells_itself
        return Target(name, layer, field, None, values_of(written, field.kind, name, count, size, absent=absent))
    if path == RAW and field.kind.as_raw is not None:
        return Target(f"{name}.raw", layer, field, None, values_of(written, field.kind.as_raw, f"{name}.raw", count))
    part = field.kind.parts.get(path) if field.kind.is_address else None
    if part is None:
        raise BuildError(f"vary: {name}.{path}", "a whole field, or net, host or socket of an XNS address", path)
    data = part[1] - part[0]
    kind = Address(f"the {path} of an XNS address", data, lambda value: _part(path, data, value), bytes, str)
    return Target(f"{name}.{path}", layer, field, part, values_of(written, kind, f"{name}.{path}", count))


def _part(path: str, size: int, value: Any) -> bytes:
    if path == "host":
        return bytes(XNSAddress.of((0, value, 0)))[4:10]
    if isinstance(value, (bytes, bytearray)) and len(value) == size:
        return bytes(value)
    try:
        return int(value).to_bytes(size, "big")
    except (TypeError, OverflowError) as error:
        raise ValueError(value) from error


def named(template: Packet, key: object) -> tuple[int, Field | None, str]:
    """Return (layer, field or None for the payload, part of it or "") of what a user named. BuildError for anything else."""
    where = f"vary: {key}"
    number = 0
    cls: Any
    names: tuple[str, ...]
    if isinstance(key, str):
        if key == PAYLOAD:
            return len(template.layers) - 1, None, ""
        meant = FieldPath.parse(key, where, [type(header) for header in template.layers])
        cls, number, names = meant.header, (meant.occurrence or 1) - 1, meant.names
    elif isinstance(key, Field):
        cls, names = classes[key.owner], (key.name,)
    elif isinstance(key, tuple) and 2 <= len(key) <= 3 and isinstance(key[0], HeaderType):
        cls, name = key[0], key[-1].name if isinstance(key[-1], Field) else str(key[-1])
        number = int(key[1]) if len(key) == 3 else 0
        names = FieldPath.of(cls, name.split("."), where).names
    else:
        raise BuildError(where, 'a field, a name such as "ip.src", or (header, number, name)', type(key).__name__)
    layers = [i for i, header in enumerate(template.layers) if isinstance(header, cls)]
    if not 0 <= number < len(layers):
        raise BuildError(where, f"a header of {template.summary()}", f"{cls.__name__}#{number + 1}")
    field = type(template.layers[layers[number]])._by_name.get(names[0]) if names else None
    if field is None or field.kind.wire == "payload":
        raise BuildError(where, f"a field of {cls.__name__}", ".".join(names) or "the whole header")
    return layers[number], field, ".".join(names[1:])


def _check_apart(targets: list[Target]) -> None:
    seen: list[Target] = []
    for target in targets:
        for other in seen:
            if (other.layer, other.field) == (target.layer, target.field) and (
                other.part is None or target.part is None or other.part == target.part
            ):
                raise BuildError(f"vary: {target.name}", "each field once", "twice")
        seen.append(target)


def vary(template: Packet, count: int, fields: Mapping[Any, Any] | None, named_fields: Mapping[str, Any]) -> Variation:
    return Variation(template, count, {**(fields or {}), **named_fields})
