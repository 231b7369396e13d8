"""`why` of what a field holds, by its path: items, headers in fields, what takes an item apart, what comes out of a transform."""

from __future__ import annotations

import pytest

from packetlab import (
    U8,
    U16,
    U32,
    BuildError,
    Bytes,
    DeclareError,
    Ether,
    Header,
    auto,
    before,
    computed,
    count_of,
    dissect,
    field,
    internet_checksum,
    many,
    must,
    size_of,
    sized,
    through,
    when,
    zlib,
)


class Parcel(Header):
    kind: U8 = 1
    size: U8 = must(field("size") < 10, auto(size_of("data")))
    data: Bytes = b""


class Leased(Parcel, inside="data", when={"kind": 51}):
    seconds: U32 = 3600
    twice: U32 = auto(field("seconds") * 2)


class Summand(Header):
    delta: U8 = 0
    total: int = computed(before("total") + field("delta"))
    flag: U8 | None = when(field("^.n") == 2, 9)
    sum: U16 = auto(internet_checksum("self"))


class Pocket(Header):
    x: U8 = 5
    y: U16 = auto(field("x") * 3)


class Suitcase(Header, under=Ether, when={"type": 0x7ABC}):
    n: U8 = auto(count_of("sums"))
    sums: tuple[Summand, ...] = many(count=field("n"))
    pocket: Pocket = Pocket()
    packed: U16 = auto(size_of("hidden"))
    hidden: tuple[Pocket, ...] = through(zlib(), sized(field("packed")))
    m: U8 = auto(count_of("items"))
    items: tuple[Parcel, ...] = many(count=field("m"))


BUILT = Ether() / Suitcase(
    sums=[Summand(delta=3), Summand(delta=4, sum=7)], pocket=Pocket(y=2), hidden=[Pocket(), Pocket(x=7)],
    items=[Parcel(data=b"abc"), Leased(seconds=60), Parcel(kind=9, data=b"x" * 12)],
)  # fmt: skip
READ = dissect(bytes(BUILT))


@pytest.mark.parametrize(
    ("path", "built", "read"),
    [
        ("sums[1].sum", ["Suitcase.sums[1].sum = 0x0007  (given)", "  rule: internet(self)", "    self: 4 bytes, this field as zeros", "    gives 0xfbf6",
                         "  differs from the rule, which gives 0xfbf6; kept as it is"], None),
        ("sums[0].sum", ["Suitcase.sums[0].sum = 0xfcf6  (auto)", "  rule: internet(self)", "    self: 4 bytes, this field as zeros", "    gives 0xfcf6"], "  agrees with the rule"),
        ("sums[-1].total", ["Suitcase.sums[1].total = 7  (auto)", "  rule: before(total) + delta = 7", "    before(total) = 3", "    delta = 4"], "  agrees with the rule"),
        ("sums[1].flag", ["Suitcase.sums[1].flag = 9  (auto)", "  present where ^.n == 2: yes", "    ^.n = 2", "  no rule: the default"], "  no rule: as it came"),
        ("pocket.y", ["Suitcase.pocket.y = 2  (given)", "  rule: x * 3 = 15", "    x = 5", "  differs from the rule, which gives 15; kept as it is"], None),
        ("hidden[1].y", ["Suitcase.hidden[1].y = 21  (auto)", "  rule: x * 3 = 21", "    x = 7"], "  agrees with the rule"),
        ("items.size", ["Suitcase.items[0].size = 3  (auto)", "  has to obey size < 10: yes", "  rule: size_of(data) = 3", "    size_of(data) = 3"], "  agrees with the rule"),
        ("items[2].size", ["Suitcase.items[2].size = 12  (auto)", "  has to obey size < 10: no", "  rule: size_of(data) = 12", "    size_of(data) = 12"], "  agrees with the rule"),
        ("items.leased.twice", ["Suitcase.items[1].twice = 120  (auto)", "  rule: seconds * 2 = 120", "    seconds = 60"], "  agrees with the rule"),
        ("items[1].seconds", ["Suitcase.items[1].seconds = 60  (given)", "  no rule: set by the user"], "  no rule: as it came"),
    ],
)  # fmt: skip
def test_a_field_of_what_a_field_holds_is_explained_as_one_of_a_layer(path: str, built: list[str], read: str | None) -> None:
    assert BUILT.why(Suitcase, path).splitlines() == built
    found = READ.why(Suitcase, path).splitlines()
    assert found[0] == built[0].replace("(given)", "(captured)").replace("(auto)", "(captured)")
    rest = built[1:] if read is None else [*built[1:], read] if "no rule" not in read else [*built[1:-1], read]
    assert found[1:] == rest


def test_it_says_what_the_item_says_by_itself() -> None:
    for place, item in enumerate(READ[Suitcase].items):
        for name in ("kind", "size"):
            alone = (item / b"").why(type(item), name).splitlines()
            assert READ.why(Suitcase, f"items[{place}].{name}").splitlines()[1:] == alone[1:]


def test_what_a_layer_takes_apart_has_its_own_names() -> None:
    layer = dissect(bytes(Leased(seconds=5)), Parcel)
    assert layer.why(Leased, "twice").splitlines()[0] == "Leased.twice = 10  (captured)"


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("items[7].size", BuildError, r"Suitcase\.items\[7\]\.size: expected a header at items\[7\], got 3 of them"),
        ("items[0].siz", DeclareError, r"Parcel\.siz: expected a field, .*did you mean 'size'"),
        ("nosuch.x", DeclareError, r"Suitcase\.nosuch: expected a field"),
        ("n.x", BuildError, r"expected a header at n, got 0 of them"),
        ("items[all].size", BuildError, r'expected names and numbers, as in "items\[0\]\.value"'),
        (".x", BuildError, r"expected names and numbers"),
        ("nosuch", DeclareError, r"Suitcase\.nosuch: expected a field"),
    ],
)
def test_paths_that_mean_nothing_are_refused(path: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        READ.why(Suitcase, path)


class Chest(Header):
    lids: tuple[Parcel, ...] = many()


def test_why_knows_a_plain_field_of_what_takes_a_layer_apart():
    class Rented(Parcel, inside="data", when={"kind": 52}):
        months: U8 = 0

    packet = dissect(bytes(Rented(months=7)), Parcel)
    assert str(packet.why(Rented, "months")) == "Rented.months = 7  (captured)\n  no rule: as it came"
    assert str(packet.why(Rented, "kind")).startswith("Rented.kind = 52  (captured)")
    held = dissect(bytes(Chest(lids=[Rented(months=7)])), Chest)
    assert "lids[0].months = 7  (captured)" in str(held.why(Chest, "lids[0].months"))
    assert "Rented.months = 7  (given)" in str((Ether() / Rented(months=7)).why(Rented, "months"))
