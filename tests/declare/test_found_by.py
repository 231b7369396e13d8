"""Classes that are found by a number which is worked out, or may be absent: built with it, or refused."""

from collections.abc import Iterator

import pytest

from packetlab import (
    U4,
    U8,
    U16,
    UDP,
    BuildError,
    Bytes,
    Capture,
    Context,
    DeclareError,
    Ether,
    Header,
    IPv4,
    Rest,
    Text,
    auto,
    before,
    bind,
    bindings,
    choose,
    computed,
    dissect,
    field,
    has,
    many,
    recalled,
    sender,
    size_of,
    when,
)
from tests.careful import careful


@pytest.fixture(autouse=True)
def scoped() -> Iterator[None]:
    with bindings():
        yield


class KeyedOption(Header):
    delta: U4 = 0
    length: U4 = auto(size_of("data"))
    number: int = computed(before("number") + field("delta"))
    data: Bytes = b""


class KeyedPath(KeyedOption, inside="data", when={"number": 11}):
    path: Text = ""


class KeyedQuery(KeyedOption, inside="data", when={"number": 15}):
    query: Text = ""


class KeyedOptions(Header):
    options: tuple[KeyedOption, ...] = many()


def test_a_number_that_is_worked_out_is_built() -> None:
    made = KeyedOptions(options=[KeyedPath(path="a"), KeyedPath(path="bc"), KeyedQuery(query="d")])
    assert bytes(made).hex() == "b161" "026263" "4164"
    read = dissect(bytes(made), KeyedOptions)
    assert read[KeyedOptions] == made == careful(KeyedOptions, bytes(made))[0]
    assert [type(one) for one in read[KeyedOptions].options] == [KeyedPath, KeyedPath, KeyedQuery]
    assert [one.number for one in made.options] == [11, 11, 15]
    edited = read.replace({"keyedoptions.options[1]": KeyedQuery(query="x")})
    assert bytes(edited).hex() == "b161" "4178" "0164"
    assert bytes(KeyedPath(delta=3)).hex() == "30", "what is given is sent"


def test_over_several_steps_and_for_classes_that_go_on() -> None:
    class Step(Header):
        low: U8 = auto(choose(field("twice") < 200, field("twice"), 255))
        twice: int = computed(field("low") + 0)
        kind: int = computed(field("twice") + 1)

    class Five(Step, when={"kind": 5}):
        v: U8 = 1

    assert bytes(Five()).hex() == "0401" and dissect(bytes(Five()), Step)[Step] == Five()
    assert Five().kind == 5 and Five(v=2).low == 4


def test_a_number_that_may_be_absent_is_there() -> None:
    class Flagged(Header):
        f: U8 = auto(has("k"))
        k: U8 | None = when(field("f") == 1)
        data: Rest = b""

    class Two(Flagged, inside="data", when={"k": 2}):
        v: U8 = 1

    assert bytes(Two()).hex() == "010201" and dissect(bytes(Two()), Flagged)[Flagged] == Two()
    assert (Two().f, Two().k, Two().given) == (1, 2, Two(v=1).given - {"v", "data"})
    assert bytes(Two(f=0)).hex() == "0001" and bytes(Two(k=3)).hex() == "010301"

    class Plain(Header):
        f: U8 = 0
        k: U8 | None = when(field("f") == 1)
        data: Rest = b""

    class Three(Plain, inside="data", when={"k": 3}):
        v: U8 = 1

    with pytest.raises(BuildError, match=r"Three: expected k == 3, as when= .*, got what is read as Plain \(give f, k\)"):
        bytes(Three())
    assert dissect(bytes(Three(f=1)), Plain)[Plain] == Three(f=1)


def test_what_cannot_be_built_is_refused_unless_it_is_given() -> None:
    class Digit(Header):
        tens: U4 = 0
        ones: U4 = 0
        kind: int = computed(field("tens") * 10 + field("ones"))
        data: Rest = b""

    class Fifteen(Digit, inside="data", when={"kind": 15}):
        v: U8 = 1

    with pytest.raises(BuildError, match=r"Fifteen: expected kind == 15, .* \(give tens, ones, kind\)"):
        bytes(Fifteen())
    assert dissect(bytes(Fifteen(tens=1, ones=5)), Digit)[Digit] == Fifteen(tens=1, ones=5)

    class Large(Digit, when=field("kind") > 90):
        w: U8 = 1

    with pytest.raises(BuildError, match=r"Large: expected kind > 90"):
        bytes(Large())
    assert bytes(Large(tens=1)), "what is given is sent"


def test_a_class_above_is_not_found_by_such_a_number_alone() -> None:
    class Low(Header):
        f: U8 = auto(has("k"))
        k: U8 | None = when(field("f") == 1)
        n: int = computed(field("f") + 1)

    with pytest.raises(DeclareError, match=r"Up under Low\.n: .*, got computed\(f \+ 1\) \(when=field\(\"n\"\) == \.\.\. asks it"):

        class Up(Header, under=Low, when={"n": 2}):
            z: U8 = 4

    with pytest.raises(DeclareError, match=r"Over under Low\.k: .*, got one that may be absent"):

        class Over(Header, under=Low, when={"k": 2}):
            z: U8 = 4


class Wide(Header, remembers={("found.wide", sender()): field("on")}):
    on: U8 = 1


class Number(Header):
    tag: U8 = 0
    wide: int = computed(recalled("found.wide", sender(), default=0))
    data: Rest = b""


class Narrow(Number, inside="data", when=(field("tag") == 2) & (field("wide") == 0)):
    value: U8 = 7


class Broad(Number, inside="data", when=(field("tag") == 2) & (field("wide") == 1)):
    value: U16 = 7


def test_a_class_that_earlier_packets_make_another_one_is_refused() -> None:
    below = UDP(sport=1, dport=2)
    bind(Wide, under=UDP, when={"dport": 3})
    bind(Number, under=UDP, when={"dport": 2})
    stack = Ether() / IPv4(src="10.0.0.1", dst="10.0.0.2")
    with Context():
        assert bytes(stack / below / Broad(value=9)), "nothing was said yet"
        frames = [bytes(stack / below.replace(dport=3) / Wide()), bytes(stack / below / Broad(value=9))]
        for wrong in (Narrow(value=9), Narrow(tag=2, value=9)):
            with pytest.raises(BuildError, match=r"Narrow: expected \(tag == 2\) & \(wide == 0\), .* recalled\('found.wide', sender\(\), default=0\)"):
                bytes(stack / below / wrong)
        assert bytes(Narrow(value=9)) and bytes(stack.replace(IPv4, src="10.0.0.3") / below / Narrow()), "of others nothing was said"
    assert bytes(stack / below / Narrow(value=9)), "without a context nothing is known"
    read = Capture.of(frames)[-1].packet()
    assert type(read[Number]) is Broad and read[Broad].value == 9 and not read.faults
    assert bytes(read.replace(Broad, value=5))[-2:] == b"\0\5"
