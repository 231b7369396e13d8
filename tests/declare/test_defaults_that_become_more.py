"""A header held by default is read back: one that would be read as a class which refines its own, and is none, is refused at first use."""

from typing import Any

import pytest
from hypothesis import find

from packetlab import (
    U8,
    U16,
    Bytes,
    DeclareError,
    Header,
    auto,
    bindings,
    computed,
    dissect,
    field,
    has,
    many,
    size_of,
    sized,
    strategies,
    through,
    when,
    xor,
)


@pytest.fixture
def made() -> Any:
    with bindings():

        class Part(Header):
            kind: U8 = 1
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Inside(Part, inside="data", when={"kind": 1}):
            value: U8 = 0

        class Record(Header):
            kind: U8 = 2

        class Longer(Record, when={"kind": 2}):
            value: U16

        yield Part, Inside, Record, Longer


def test_such_a_default_is_refused_with_the_class_and_the_way_out(made: Any) -> None:
    Part, _Inside, Record, _Longer = made

    class One(Header):
        part: Part = Part()

    for use in (lambda: bytes(One()), lambda: dissect(b"\1\1\7", One), lambda: find(strategies.headers(One), lambda header: True)):
        with pytest.raises(DeclareError, match=r"One\.part: expected a default that reads back, got Part\(\), which is read as Inside.*part: Part = Inside"):
            use()

    class Several(Header):
        parts: tuple[Part, ...] = many(count=2, value=(Part(kind=9), Part()))

    class Maybe(Header):
        there: U8 = auto(has("part"))
        part: Part | None = when(field("there") == 1, Part())

    class Masked(Header):
        part: Part = through(xor(0x55), Part())

    class Goes(Header):
        record: Record = Record()

    class Deep(Part, inside="data", when={"kind": 3}):
        part: Part = Part()

    for cls, name in ((Several, "parts"), (Maybe, "part"), (Masked, "part"), (Goes, "record"), (Deep, "part")):
        with pytest.raises(DeclareError, match=rf"{cls.__name__}\.{name}: expected a default that reads back"):
            bytes(cls())


def test_what_reads_back_stays(made: Any) -> None:
    Part, Inside, _Record, _Longer = made

    class One(Header):
        part: Part = Inside()

    class Bare(Header):
        part: Part

    class Bytewise(Header):
        part: Part = Part(data=b"\5")

    class Other(Header):
        part: Part = Part(kind=9)

    for header in (One(), Bare(part=Inside(value=3)), Bytewise(), Other()):
        packet = dissect(bytes(header), type(header))
        assert not packet.faults
        assert packet == header / b""


def test_a_class_that_comes_later_is_looked_at_too() -> None:
    with bindings():

        class Part(Header):
            kind: U8 = 1
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class One(Header):
            part: Part = Part()

        assert bytes(One()) == b"\1\0"

        class Inside(Part, inside="data", when={"kind": 1}):
            value: U8 = 0

        with pytest.raises(DeclareError, match=r"One\.part: expected a default that reads back"):
            bytes(One())


@pytest.mark.parametrize("read_first", [False, True])
def test_what_stands_inside_is_refused_whether_it_is_read_or_built_first(made: Any, read_first: bool) -> None:
    Part, _Inside, _Record, _Longer = made

    class Deep(Part, inside="data", when={"kind": 3}):
        size_of_part: U8 = auto(size_of("part"))
        part: Part = sized(field("size_of_part"), Part())

    class Outer(Header):
        parts: tuple[Part, ...] = many()

    uses = [lambda: bytes(Deep(part=Part(kind=9))), lambda: dissect(b"\3\4\3\1\1\7", Outer)[Outer].parts]
    for use in uses[::-1] if read_first else uses:
        with pytest.raises(DeclareError, match=r"Deep\.part: expected a default that reads back"):
            use()


RULES: dict[str, Any] = {"the class": lambda: (0, field("^.kind") == 6), "a computed field": lambda: (computed(field("^.kind")), {"own": 6})}
BODIES: dict[str, dict[str, Any]] = {"inside": {"inside": "data"}, "after it": {}}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("listed", [False, True])
def test_one_that_becomes_more_by_what_stands_around_it_is_refused_too(rule: str, body: str, listed: bool) -> None:
    with bindings():
        number, condition = RULES[rule]()

        class Part(Header):
            own: U8 = number
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Longer(Part, when=condition, **BODIES[body]):
            value: U8 = 2

        def holder(around: int, default: Any) -> Any:
            class Around(Header):
                kind: U8 = around
                part: Part = default

            class Several(Header):
                kind: U8 = around
                part: tuple[Part, ...] = many(count=1, value=(default,))

            return Several if listed else Around

        wrong = holder(6, Part())
        for use in (lambda: bytes(wrong()), lambda: dissect(b"\6\0\0", wrong)):
            with pytest.raises(DeclareError, match=rf"{wrong.__name__}\.part: expected a default that reads back, got Part\(\), which is read as Longer"):
                use()
        for header in (holder(7, Part())(), holder(6, Longer())(), holder(6, Longer(value=9))()):
            packet = dissect(bytes(header), type(header))
            assert not packet.faults and packet == header / b""


def test_one_that_becomes_more_of_computed_fields_is_another_value() -> None:
    with bindings():

        class Part(Header):
            size: U8 = 1

        class Told(Part, when=field("^.kind") == 6):
            more: U8 = computed(field("size") + 1)

        class Around(Header):
            kind: U8 = 6
            part: Part = Part()

        with pytest.raises(DeclareError, match=r"got Part\(\), which is read as Told, and is none \(it is Told\(size=1, more=2\)\)"):
            bytes(Around())


def _around() -> tuple[Any, Any]:
    class Part(Header):
        size: U8 = auto(size_of("data"))
        data: Bytes = b""

    class Inside(Part, inside="data", when=field("^.kind") == 6):
        value: U8 = 0

    return Part, Inside


def test_one_whose_bytes_are_what_it_becomes_stays_and_so_does_one_that_is_absent() -> None:
    with bindings():
        Part, Inside = _around()

        class Fits(Header):
            kind: U8 = 6
            part: Part = Part(data=b"\5")

        class Absent(Header):
            kind: U8 = 7
            part: Part | None = when(field("kind") == 6, Part())

        read = dissect(bytes(Fits()), Fits)
        assert not read.faults and read == Fits() / b"" and read[Fits].part == Inside(value=5)
        assert bytes(Absent()) == b"\7" and dissect(b"\7", Absent)[Absent].part is None


def test_one_in_what_comes_out_of_a_transform_or_two_levels_in_is_refused_by_the_field_that_holds_it() -> None:
    with bindings():
        Part, _Inside = _around()

        class Masked(Header):
            kind: U8 = 6
            part: Part = through(xor(0x55), Part())

        class Kind(Header):
            kind: int = computed(field("^.kind"))
            part: Part = Part()

        class Deep(Header):
            kind: U8 = 6
            held: Kind = Kind()

        class Other(Header):
            kind: U8 = 7
            held: Kind = Kind()

        for cls, name in ((Masked, "part"), (Deep, "held")):
            for use in (lambda cls=cls: bytes(cls()), lambda cls=cls: dissect(b"\6\0", cls)):
                with pytest.raises(DeclareError, match=rf"{cls.__name__}\.{name}: expected a default that reads back, got Part\(\), which is read as Inside"):
                    use()
        assert dissect(bytes(Other()), Other) == Other() / b""


def test_a_name_of_the_holder_says_what_stands_around_it_too() -> None:
    with bindings():

        class Part(Header):
            size: U8 = auto(size_of("data"))
            data: Bytes = b""

        class Inside(Part, inside="data", when=field("Told.kind") == 6):
            value: U8 = 0

        class Between(Header):
            part: Part = Part()

        class Told(Header):
            kind: U8 = 6
            part: Part = Part()

        class Further(Header):
            kind: U8 = 6
            part: Part = Part()

        with pytest.raises(DeclareError, match=r"Told\.part: expected a default that reads back, got Part\(\), which is read as Inside"):
            bytes(Told())
        for header in (Further(), Between()):  # no header of that name says it
            assert dissect(bytes(header), type(header)) == header / b""
