"""Bytes up to an end, less what the last of them count: padding, as in RTP.

Kaitai has it as an instance at ``_io.size - 1``, a field of all that is left without it, and a field of that size behind. Here the
number is a field of its own, the last one, and the padding is without it.
"""

from __future__ import annotations

from typing import NamedTuple

from packetlab.schema.ksy.expressions import LEFT, KsyNode
from packetlab.schema.ksy.fields import number_row
from packetlab.schema.ksy.model import Attr
from packetlab.schema.ksy.plans import Env


class KsyCounted(NamedTuple):
    """The fields of such an end: what is left without the padding, the padding, and the number of its bytes, which it ends with."""

    data: Attr
    padding: Attr
    number: Attr
    bytes: int
    condition: KsyNode | None


def counted(env: Env) -> KsyCounted | None:
    """Return the end of a type that is of this form; None for others."""
    if len(env.type.seq) < 2:
        return None
    data, padding = env.type.seq[-2:]
    if data.size is None or data.size.word != "-" or data.size.parts[0] != LEFT or padding.size != data.size.parts[1]:
        return None
    said = env.type.instances.get(str(padding.size.value)) if padding.size.word == "name" else None
    condition = None
    if said is not None and said.value is not None:
        value = said.value
        if value.word == "choose" and value.parts[2] == KsyNode("number", 0):
            condition, value = value.parts[0], value.parts[1]
        said = env.type.instances.get(str(value.value)) if value.word == "name" else None
    if (
        said is None
        or said.pos is None
        or said.io is not None
        or said.condition != condition
        or padding.condition is not None
    ):
        return None
    row = number_row(said, said.type, env.endian)
    if (
        row is None
        or row["kind"] != "int"
        or said.pos != KsyNode("-", "", (LEFT.parts[0], KsyNode("number", row["bits"] // 8)))
    ):
        return None
    plain = all(attr.type == "" and attr.repeat is None and "process" not in attr.said for attr in (data, padding))
    return (
        KsyCounted(data, padding, said, row["bits"] // 8, condition)
        if plain and row["bits"] % 8 == 0 and data.condition is None
        else None
    )
