"""Lists whose items take values from around them, written by one function: those of which each is packed by itself, but for these values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packetlab.codec.around.outer import is_contextual, is_lain, look
from packetlab.codec.encode import Packing
from packetlab.codec.objects import classes
from packetlab.codec.places.surroundings import bytes_before, counting_list
from packetlab.codec.readback import no_bytes
from packetlab.codec.source import function
from packetlab.declare.expressions import Const, Elsewhere
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.registered import refinements

if TYPE_CHECKING:
    from packetlab.codec.source import Compiled
    from packetlab.declare.fields import Field


def around_writer(field: Field) -> Compiled | None:
    """Return ``write(items, outside, *handed)`` -> bytes (see `outer.handed`), or None for items that are written one by one (`writing.encode_around`): those of another class,
    those that were read, prototypes. None where all are: they count places from elsewhere than from the beginning of what holds them, recall
    what earlier packets said, or hold such items themselves.
    """
    item = field.kind.item
    if field.until is not None or item.view is not None or is_contextual(item) or any(refinements(item)):
        return None
    counted = any(isinstance(leaf, OwnPlace) for leaf in item.outer_leaves)
    if counted and counting_list(field.owner) is not field:
        return None
    leaves = {f"x_{k}": leaf for k, leaf in enumerate(item.outer_leaves)}
    before = {name: item.by_name.get(leaf.name) for name, leaf in leaves.items() if not leaf.path}
    if any(f is None or f.condition is not None or not (f.kind.is_number or f.computed is not None) for f in before.values()):
        return None
    part = Packing(item, ())
    part.outer_known = {str(leaf): name for name, leaf in leaves.items()}
    for f in item.fields:
        if f.outer is not None and not f.tells_itself and all(isinstance(leaf, Const) or (isinstance(leaf, Elsewhere) and leaf.path and not is_lain(leaf)) for leaf in f.outer.leaves()) and not counted:
            part.present(f)  # the same for all items
    hoisted, part.lines = part.lines, []
    part.source()
    after = [f"{name} = {part.value(f.name)}" for name, f in before.items() if f is not None]
    if part.needs_stack:
        return None
    part.names.update(item_class=classes[item], look=look, item=item, no_bytes=no_bytes, F=field, i=0, above=None)
    operands = "".join(f", {name}=None" for name, leaf in leaves.items() if leaf.path and not isinstance(leaf, OwnPlace) and not is_lain(leaf))
    head = [f"def write(items, outside{operands}):", "    found = []", "    add = found.append"]
    for name, leaf in leaves.items():
        part.names[f"L_{name}"] = leaf
        if is_lain(leaf):
            continue
        if isinstance(leaf, OwnPlace):  # the list goes on where the item before ended
            head.append(f"    {name} = {bytes_before(field)}")
            after.append(f"{name} += len(data)")
            continue
        looked = [f"        {name} = look(L_{name}, outside, None, outside.holders, item)", f"        if {name} is None: return None"]
        head += [f"    if {name} is None:", *looked] if leaf.path else [f"    {name} = 0"]
    lines = [*part.lines, *part.tried(f"data = {part.joined(part.pieces)}", "(h, ''),"), *after]
    own = [f"{name} = 0 if x is None else x[{k}]" for k, (name, leaf) in enumerate(leaves.items()) if is_lain(leaf) and any(name in line for line in lines)]
    known = f"(s := h._state) >> {len(item.fields)}" if counted else f"(s := h._state) >= {item.captured_state:#x}"
    lines = [f"if type(h) is not item_class or {known}: return None", *(own and ["try: x = h.__outer__", "except AttributeError: x = None"]), *own, *lines]
    sure = any(isinstance(piece.size, int) and piece.size and not piece.there for piece in part.pieces)
    lines += [] if field.kind.one or sure else ["if not data: raise no_bytes(F)"]
    head += ["    " + line for line in hoisted]
    lines = ["    for h in items:", *("        " + line for line in [*lines, "add(data)"]), "    return b''.join(found)"]
    return function([*head, *lines], part.names, f"{field.owner.name}.{field.name} items")
