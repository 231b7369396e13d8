"""Frames that a link carries as other bytes, as tables of Lua (see links.lua). What others than these do, Lua leaves as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.declare.transforms.masks import Whitened, Xor
from packetlab.declare.transforms.stuffing import COBSStuffing, HDLCStuffing, SLIPStuffing
from packetlab.escaping import lua, lua_bytes

if TYPE_CHECKING:
    from packetlab.declare.declaration import Declaration
    from packetlab.declare.transforms.transform import Transform


def through(header: Declaration) -> list[str]:
    """Return the line with the transforms of a header's link, the outermost first; nothing for other headers."""
    return [f"  through = {{{', '.join(map(_transform, header.through))}}},"] if header.through else []


def _transform(one: Transform) -> str:
    said: list[str] = []
    if isinstance(one, HDLCStuffing | SLIPStuffing | COBSStuffing):
        said = [f"{word} = {str(value).lower()}" for word, value in one.given.items()]
    elif isinstance(one, Xor) and isinstance(one.given["key"], bytes):
        said = [f"key = {lua_bytes(one.given['key'])}"]
    elif isinstance(one, Whitened):
        poly, state = one.register()
        width = poly.bit_length() - 1
        return f'{{name = "whitened", taps = {poly - (1 << width)}, width = {width}, state = {state}}}'
    return f"{{{', '.join([f'name = {lua(one.name)}', *said])}}}" if said else f"{{hidden = {lua(one.name)}}}"
