"""Why a field has its value: its rule, with an operand a line, and whether the value agrees with it."""

from __future__ import annotations

from typing import cast

from packetlab.codec.around.outer import look
from packetlab.codec.around.solving import solve_stack, wanted_by
from packetlab.codec.context.recalling import recalled_inside, recalled_lines
from packetlab.codec.pseudo import pseudo_sum
from packetlab.declare.checksums.ranges import held, names_between
from packetlab.declare.expressions import Checksum, Count, Elsewhere, Expr, Has, Next, Ref, Size
from packetlab.declare.fields import Field
from packetlab.declare.places.heaps import Lain
from packetlab.declare.places.left import Left, LeftAfter, goes_by_left
from packetlab.declare.places.origins import OwnPlace
from packetlab.declare.refinement.heaps import heap_of
from packetlab.declare.remembering.recalled import Recalled
from packetlab.errors import BuildError
from packetlab.packet.explain import Derivation, derive, follows
from packetlab.packet.packet import Header, Packet
from packetlab.packet.results import Verdict
from packetlab.packet.text import Text, value_text
from packetlab.packet.verdicts.inside import at_path
from packetlab.packet.verdicts.verdict import verdict
from packetlab.packet.words.layout import fills, in_words, laid


def _of_list(header: Header, f: Field, where: str, pick: str, whole: Text) -> Text:
    """Return the derivation of one of the values of a list: it has that of the list."""
    values: list[object] = [*(getattr(header, f.name) or ())]
    if not pick.isdecimal() or int(pick) >= len(values):
        raise BuildError(where, f"one of {len(values)} values, counted from 0", f"[{pick}]")
    return Text(f"{where} = {values[int(pick)]}, of a list:\n{whole}")


def why(packet: Packet, i: int, name: str) -> Text:
    """Return the derivation of one field, an operand a line; of one in what a field holds by its path."""
    scope, path = Derivation(packet, i), name
    header, called = packet._headers[i], type(packet.layers[i]).__name__
    if name not in scope.cls._by_name and ("." in name or scope.cls._declaration.view is not None):
        scope, held, path, name = at_path(packet, i, path)
        header = cast("Header", held)
    name, _, pick = name.partition("[")
    f = scope.cls._field(name)
    if pick and f.kind.inside.element is not None:
        return _of_list(scope.header, f, f"{called}.{path}", pick.removesuffix("]"), why(packet, i, path.rpartition("[")[0]))
    raw = scope.raw(name)
    shown = value_text(f, raw, scope.header)
    if isinstance(f.rule, Checksum) and raw is not None:
        shown = f"0x{raw:0{(f.kind.bits or 16) // 4}x}"
    state = Header.state(header, name)
    lines = [f"{called}.{path} = {shown}  ({state})"]
    if f.condition is not None:
        lines.append(f"  present where {f.condition}: {'yes' if f.condition.evaluate(scope) else 'no'}")
        lines += [f"    {_operand(leaf, scope)}" for leaf in _distinct(f.condition)]
    if f.must is not None and raw is not None:
        known = not (goes_by_left(f.must) and (scope.is_inside or packet.truncated))
        lines.append(f"  has to obey {f.must}{': no' if known and f.broken(scope) else ': yes' if known else ', as far as all is there'}")
        lines += [f"    {_operand(leaf, scope)}" for leaf in _distinct(f.must) if str(leaf) != name and (known or not isinstance(leaf, Left))]
    lines += recalled_lines(scope.header, f.size, f.count)
    lines += recalled_inside(scope.header, f) if f.kind.wire == "items" else []
    for said, by in laid(scope, f):
        leaves = [] if by is None else _distinct(by)
        lines += [f"  {said}", *(f"    {_operand(leaf, scope)}" for leaf in leaves if str(leaf) != str(by))]
    if (rule := f.rule if f.computed is None else f.computed) is None:
        if state != "given" and (filled := fills(scope, f, state == "captured")):
            return Text("\n".join([*lines, f"  {filled}"]))
        solved = f.kind.is_number and raw is not None and raw != f.default
        asked = wanted_by(solve_stack(packet._headers), i, name) if solved and path == name else ""
        if (heaped := heap_of(scope.header._declaration)) is not None and heaped.within is f and state == "auto":
            lists = ", ".join(one.name for one in heaped.lists)
            return Text("\n".join([*lines, f"  follows from the items of {lists}, whose bytes lie in it"]))
        words = {"auto": f"as what stands in it, or above, was given{asked and f': {asked}'}" if solved else "the default", "given": "set by the user", "captured": "as it came"}
        lines.append(f"  no rule: {words[state]}{f.kind.remark(raw)}")
        return Text("\n".join(lines))
    check = verdict(packet, i, path) if isinstance(f.rule, Checksum) else None
    if raw is None and check is Verdict.NOT_PRESENT:
        return Text("\n".join([*lines, "  there is no checksum"]))
    derived = derive(scope, f)
    if isinstance(f.rule, Checksum):
        lines += [f"  rule: {f.rule}", *(f"    {_operand(leaf, scope)}" for leaf in _distinct(f.rule) if f.rule.where is not None)]
        lines += _sum_lines(scope, f.rule) if f.rule.is_due(scope) else []
        lines += [f"    gives 0x{derived:0{(f.kind.bits or 16) // 4}x}"]
    else:
        lines.append(f"  rule: {in_words(rule, scope)} = {value_text(f, derived) if isinstance(rule, Next) else derived}")
        lines += [f"    {_operand(leaf, scope)}" for leaf in _distinct(rule)]
    if (raw is not None or isinstance(f.rule, Checksum)) and state != "auto":
        lines.append(f"  {_agreement(scope, f, derived, check)}")
    return Text("\n".join(lines))


def _agreement(scope: Derivation, f: Field, derived: object, check: Verdict | None) -> str:
    """Say whether a value agrees with its rule; of a checksum what its verdict says."""
    if isinstance(f.rule, Checksum) and not f.rule.is_due(scope):
        return "is not checked, since there is no checksum then"
    if check is Verdict.UNVERIFIED:
        here = "pseudo" in f.rule.over and pseudo_sum(scope.layers, scope.i, scope.cls._declaration, 0) is None  # type: ignore[union-attr]
        return f"cannot be verified: {'no network layer is below' if here else 'not all that it covers is here'}"
    if check in (Verdict.NOT_PRESENT, Verdict.ILLEGAL):
        return "says that there is no checksum" + ", which IPv6 does not allow" * (check is Verdict.ILLEGAL)
    if follows(scope, f):
        return "agrees with the rule"
    if _counts_more(scope, f, derived):
        return "counts more than is here, which is a part (a fragment, a quoted packet, or cut by the capture); kept as it is"
    return f"differs from the rule, which gives {_number(f, derived)}; kept as it is"


def _counts_more(scope: Derivation, f: Field, derived: object) -> bool:
    """Whether a length rightly says more than there is: the rest of the packet is elsewhere."""
    if not any(isinstance(leaf, Size) and leaf.name == "payload" for leaf in f.rule.leaves()):  # type: ignore[union-attr]
        return False
    wrong = any(
        (fault.layer, fault.field, fault.cut) == (scope.cls.__name__, f.name, False) for fault in scope.packet.faults
    )
    return scope.packet.truncated and not wrong and bool(derived < scope.raw(f.name))


def _number(f: Field, value: object) -> str:
    return f"0x{value:x}" if isinstance(f.rule, Checksum) else value_text(f, value)


def _distinct(rule: Expr) -> list[Expr]:
    return list({str(leaf): leaf for leaf in rule.leaves() if type(leaf).__name__ != "Const"}.values())


def _operand(leaf: Expr, scope: Derivation) -> str:
    if isinstance(leaf, Next):
        above = type(scope.layers[scope.i + 1]).__name__ if scope.i + 1 < len(scope.layers) else "no header"
        return f"{leaf} = {leaf.evaluate(scope)}  ({above} above)"
    if isinstance(leaf, (Ref, Size, Count, Has, Elsewhere, LeftAfter)):
        if isinstance(leaf, Recalled):
            return recalled_lines(scope.header, leaf)[0].strip()
        away = isinstance(leaf, Elsewhere) and bool(leaf.path) and not isinstance(leaf, OwnPlace | Lain) and look(leaf, scope.layers[: scope.i], None) is None
        value = leaf.evaluate(scope)
        return f"{in_words(leaf, scope)} = {value}" + ("  (as it was where it stood)" if value else "  (nothing of that name stands around it)") * away
    return str(leaf)


def _sum_lines(scope: Derivation, rule: Checksum) -> list[str]:
    lines = []
    data = scope.covered(rule)
    zeros = ", this field as zeros" if any(f.rule is rule for f in scope.cls._declaration.before) else ""
    for part in rule.over:
        if part == "pseudo":
            for carrier in reversed(scope.layers[: scope.i]):
                if carrier._declaration.pseudo and carrier._declaration.pseudo[0]:
                    source, target = (carrier._by_name[end] for end in carrier._declaration.pseudo)
                    final = getattr(carrier, "final_destination", b"")
                    last = target.kind.text(final or getattr(carrier, target.slot)) + " in the end" * bool(final)
                    first = source.kind.text(getattr(carrier, source.slot))
                    lines.append(f"    pseudo: {type(carrier).__name__} {first} -> {last}, size {len(data)}")
                    break
            else:
                lines.append("    pseudo: no network layer below, so there is nothing to check against")
        elif isinstance(part, str):
            lines.append(f"    {part}: {_covered_size(scope, part)} bytes" + (zeros if part == "self" else ""))
        elif part.word == "span":
            names = names_between(scope.cls._declaration.before, scope.cls._declaration.after, *part.names)
            lines.append(f"    {part}: {scope.sizes(names)} bytes")
        elif part.word == "value_of":
            lines.append(f"    {part}: {scope.sizes(part.names)} bytes, less its delimiter")
        else:
            how = "left out" if part.word == "but" else "as zeros"
            lines.append(f"    {part}: {sum(_covered_size(scope, name) for name in part.names)} bytes {how}")
    return lines


def _covered_size(scope: Derivation, name: str) -> int:
    """Return how many bytes a part has that a checksum names: "self", the payload, a field, or one in a header that a field holds."""
    header = scope.cls._declaration
    inside = held(name, header.before, header.after) if "." in name else None
    if inside is not None:
        return inside.end - inside.first
    if name in header.by_name and header.by_name[name].computed is not None:
        return header.by_name[name].kind.like.fixed_bits // 8  # type: ignore[attr-defined, no-any-return]
    return scope.size(name) if name in ("self", "payload") else scope.sizes((name,))
