"""Uses that type checkers have to accept. Checked by mypy --strict and by pyright; never run."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum, IntFlag, StrEnum
from fractions import Fraction
from ipaddress import ip_address
from typing import Annotated, Self, assert_type
from uuid import UUID as UUID4, uuid4

from netaddr import IPAddress

from packetlab import (
    F32,
    IDP,
    MAC,
    S32,
    SPP,
    TCP,
    U4,
    U8,
    U12,
    U16,
    U32,
    UDP,
    UUID,
    BERLength,
    Bytes,
    Capture,
    Context,
    Control,
    Digits,
    Ether,
    Header,
    IPv4,
    IPv4Address,
    IPv6Address,
    Named,
    NTPTime,
    Packet,
    Payload,
    QuicInt,
    Records,
    Rest,
    SimNetwork,
    Spelled,
    TCPOption,
    TemplateRecord,
    Text,
    Transform,
    VarInt,
    WebSocketFrame,
    XNSAddress,
    ZigZagInt,
    aead,
    any_value,
    at,
    auto,
    base64,
    bcd,
    before,
    ber_integer,
    between,
    bits,
    but,
    computed,
    contains,
    count_of,
    crc,
    deep,
    deep_names,
    default,
    digits,
    dissect,
    duration,
    ended,
    field,
    fixed_bytes,
    fletcher,
    from_dpkt,
    from_end,
    from_scapy,
    has,
    hdlc,
    labels,
    laid_out,
    link_type,
    many,
    masked,
    named,
    offset_of,
    one_of,
    pad,
    prefixed,
    raw,
    recalled,
    receiver,
    same_as,
    scaled,
    secret,
    secrets,
    sender,
    size_of,
    sized,
    span,
    spare_bits,
    sum16,
    text,
    through,
    timestamp,
    varint,
    when,
    width_of,
    xor,
    zeroed,
    zlib,
)  # fmt: skip


class Colour(IntFlag):
    RED = 1
    BLUE = 2


class Entry(Header):
    kind: U16 = 0


class Stream(Header):
    id: VarInt = 0
    offset: QuicInt = Spelled(5, 4)
    colour: Annotated[Colour, varint()] = Colour.RED
    length: BERLength = auto(size_of("value"))
    value: Annotated[int, ber_integer()] = sized(field("length"), 0)
    size: S32 = auto(size_of("key"))
    key: Bytes | None = sized(field("size"), none=-1)
    count: ZigZagInt = auto(count_of("more"))
    more: tuple[Entry, ...] | None = many(count=field("count"), none=-1)
    whole: Annotated[int, prefixed(bits=1, sizes=(1, 4))] = 7


def coded() -> int:
    stream = Stream(id=1, offset=Spelled(2, 8), colour=Colour.BLUE, value=-5, key=None, more=None)
    key: bytes | None = stream.key
    more: tuple[Entry, ...] | None = stream.more
    colour: Colour = stream.colour
    size: int = stream.offset.size if isinstance(stream.offset, Spelled) else 0
    print(key, more, colour)
    return stream.id + stream.value + stream.whole + size


class Summed(Header):
    first: U16 = 1
    check: U16 = auto(crc("CRC-16/MODBUS", span("first", "payload"), but("other"), zeroed("third")))
    other: U16 = auto(crc(16, "self", poly=0x8005, init=0xFFFF, reflect_in=True, reflect_out=True, xor=0))
    third: U32 = auto(fletcher(32, "payload", little=True))
    fourth: U16 = auto(sum16("first", "payload", unit=8, negate=True))


def summed() -> int:
    header = Summed(check=5)
    number: int = header.check
    return number + header.third


class Method(StrEnum):
    GET = "GET"


class Message(IntEnum):
    ASK = 100


class Views(Header):
    level: F32 = 0.5
    delay: Annotated[float, scaled(16, 1 / 256, unit="s")] = 1.5
    exact: Annotated[Fraction, scaled(64, "1/65536", signed=True)] = Fraction(1, 2)
    sent: NTPTime = raw(0)
    logged: Annotated[datetime, timestamp(32)] = datetime(2024, 1, 1, tzinfo=UTC)
    spread: Annotated[timedelta, duration(16, unit="1/1000")] = timedelta(0)
    id: UUID = default("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    meter: Annotated[int, bcd(8)] = 42
    host: Annotated[str, text("ascii", size=16, pad=b"\0")] = "box"
    method: Annotated[Named[Method], text("ascii")] = default(Method.GET)
    line: Text = ended(b"\r\n", "")
    length: Digits = ended(b"\r\n", auto(size_of("payload")))
    code: Annotated[Named[Colour], digits(width=3)] = default(Colour.RED)
    message: Annotated[Named[Message], bcd(4)] = default(Message.ASK)


def views() -> float:
    one = Views(level=1.0, sent=datetime.now(UTC), id=uuid4(), method="GET", line="x", length=3, delay=raw(384))
    sent: datetime = one.sent
    spread: timedelta = one.spread
    exact: Fraction = one.exact
    key: UUID4 = one.id
    method: Method = one.method
    host: str = one.host + one.line
    print(sent, spread, exact, key, method, host)
    return one.level + one.delay + one.meter + one.length


class Present(Header, port=9, under=UDP, label="{has}", last=True):
    has: U8 = 0
    number: U16 | None = when(field("has") == 1)
    unsaid: U16 = when(field("has") == 1)  # None where it is absent, which checkers do not know then
    noted: Annotated[int, bits(8)] | None = when(field("has"), 5)
    colour: Annotated[Colour, bits(8)] | None = when(field("has"))
    title: Text | None = when(field("has"), ended(b"\0"))
    raw: Bytes | None = when(field("has"), sized(4))
    host: IPv4Address | None = when(field("has"))
    key: UUID | None = when(field("has"))
    at: NTPTime | None = when(field("has"))
    level: F32 | None = when(field("has"))
    inner: Entry | None = when(field("has"))
    entries: tuple[Entry, ...] | None = when(field("has"), many(count=1))
    quoted: "VarInt | None" = when(field("has"))


def present(one: Present) -> None:
    assert_type(one.number, int | None)
    assert_type(one.unsaid, int)
    assert_type(one.noted, int | None)
    assert_type(one.colour, Colour | None)
    assert_type(one.title, str | None)
    assert_type(one.raw, bytes | None)
    assert_type(one.host, IPv4Address | None)
    assert_type(one.key, UUID | None)
    assert_type(one.at, datetime | None)
    assert_type(one.level, float | None)
    assert_type(one.inner, Entry | None)
    assert_type(one.entries, tuple[Entry, ...] | None)
    assert_type(one.quoted, int | None)
    print(Present(number=3, colour=Colour.RED, host=IPv4Address("10.0.0.1"), title="x", key=None, inner=Entry()), one.host and one.host.words)


class Lists(Header):
    hosts: tuple[IPv4Address, ...] = many(count=1)
    more: tuple[IPv6Address, ...] = many(count=1)
    cards: tuple[MAC, ...] = many(count=1)
    keys: tuple[UUID, ...] = many(count=1)
    places: tuple[XNSAddress, ...] = many(count=1)
    numbers: tuple[U16, ...] = many(count=1)
    times: tuple[NTPTime, ...] = many(count=1)
    colours: tuple[Annotated[Colour, bits(8)], ...] = many(count=1)


def lists(one: Lists) -> None:
    assert_type(one.hosts, tuple[IPv4Address, ...])
    assert_type(one.more, tuple[IPv6Address, ...])
    assert_type(one.cards, tuple[MAC, ...])
    assert_type(one.keys, tuple[UUID, ...])
    assert_type(one.places, tuple[XNSAddress, ...])
    assert_type(one.numbers, tuple[int, ...])
    assert_type(one.times, tuple[datetime, ...])
    assert_type(one.colours, tuple[Colour, ...])
    print(Lists(hosts=(IPv4Address("10.0.0.1"), *one.hosts), keys=(UUID(int=5),)), one.hosts[0].words, one.keys[0].hex, one.cards[0].oui, one.places[0].socket)


class Alone(Header, port=9, under=UDP, exact=True):
    number: Annotated[int, varint(shortest=True)] = 0


class Nibble(Header, in_bits=True):
    up: U4 = 0
    far: U12 | None = when(field("up"))


class Loose(Header, bit_order="low"):
    width: U4 = auto(width_of("value"))
    value: Annotated[int, bits(field("width"))] = 0
    colour: Annotated[Colour, bits(field("width") + 1)] = Colour.RED
    grades: tuple[U4, ...] = many(count=2)
    way: tuple[Nibble, ...] = many(count=1)
    first: Nibble = Nibble()
    spare: int = spare_bits()


def loose(one: Loose) -> None:
    assert_type(one.value, int)
    assert_type(one.colour, Colour)
    assert_type(one.grades, tuple[int, ...])
    assert_type(one.way, tuple[Nibble, ...])
    assert_type(one.first.far, int | None)
    assert_type(one.spare, int)
    print(Loose(value=3, grades=(1, 2), way=(Nibble(far=5),), spare=1))


class Beacon(Header, under=Ether, when={"type": 0x88B5}):
    version: U4 = 1
    urgency: U4 = 0
    length: U16 = auto(size_of("self"))
    colour: Annotated[Colour, bits(16)] = Colour.RED
    station: U32
    source: MAC = default("02:00:00:00:00:01")
    cookie: Annotated[bytes, fixed_bytes(4)] = bytes(4)
    key: U32 = when(field("version") == 2)
    entries: tuple[Entry, ...] = many(count=1)
    hosts: tuple[IPv4Address, ...] = many(count=field("urgency"))
    name: Bytes = auto(field("length"))
    note: Rest = b""


def use() -> bytes:
    header = Beacon(station=7, source="02:00:00:00:00:02", colour=Colour.BLUE, entries=(Entry(kind=3),))
    station: int = header.station
    colour: Colour = header.colour
    entries: tuple[Entry, ...] = header.entries
    hosts: tuple[IPAddress, ...] = Beacon(station=7, hosts=(IPv4Address("10.0.0.1"), IPv4(dst="10.0.0.2").dst)).hosts
    packet: Packet = Ether(dst=b"\2\0\0\0\0\2", src=5) / header / b"payload"
    back = dissect(bytes(packet))
    again: Beacon = back[Beacon]
    second: IPv4 = back[IPv4, 1]
    changed: Packet = back.replace(TCP, sport=4).replace(payload=b"x")
    assert SPP(control=Control.END_OF_MESSAGE, seq=1).matches(changed) or IDP(packet_type=5) in changed
    print(station, colour, entries, hosts[0].words, again.note.hex(), second.ttl + 1, header.source)
    return bytes(changed)


def talk() -> str | bytes | None:
    net = SimNetwork(seed=1)
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.1, drop=[3])
    server, client = b.socket("seqpacket"), a.socket("seqpacket")
    server.bind(3000)
    server.listen()
    client.default_header = SPP(datastream=3)
    client.connect(b.at(3000))
    conn = server.accept()
    data: bytes = conn.read()
    packet = conn.read_packet()
    stream: int = packet[SPP].datastream if packet is not None else 0
    conn.write(data, header=SPP(datastream=stream))
    conn.write(SPP(datastream=9) / b"x", header=IDP(hops=1) / SPP(datastream=8), force=True)
    with conn.header(IDP(checksum=0xFFFF), force=True):
        taken: int = conn.write_message("text")
    message: bytes = conn.read_message()
    print(conn.default_header, taken, message)
    with a.socket("datagram", "xns") as datagrams:
        datagrams.default_header = IDP(hops=2) / SPP(seq=1)
        datagrams.write(b"x", to=b.at(4), header=IDP(packet_type=9), force=True)
    web = a.socket("websocket", subprotocols=["chat"])
    web.write_raw(WebSocketFrame(rsv1=1) / b"")
    tcp = a.socket("stream", "inet")
    tcp.write(tcp.read(5))
    whole = tcp.read_packet(Request, largest=1000)
    print(None if whole is None else whole[Request].length)
    return web.read()


class Request(Header, under=TCP, when={"port": 7463}, stream=True):
    length: U16 = auto(size_of("payload"))


def messages(capture: Capture, packet: Packet) -> list[tuple[int, str, bytes]]:
    second: int = packet[Request, 1].length
    inside: tuple[Packet, ...] = packet.messages(Request)
    found = []
    for message in capture.messages(Request, largest=1 << 16):
        length: int = message.header.length
        numbers: tuple[int, ...] = message.numbers
        found.append((length + len(numbers) + second + len(inside), message.by, message.data))
    return found


def tolerant(packet: Packet) -> str:
    known: dict[str, object] = {}
    prototype = IPv4(ttl=between(60, 64), src=one_of("10.0.0.1"), dst=ip_address("10.0.0.2")) / TCP(
        sport=same_as("a"), seq=masked(0xFF, 1), ack=any_value, options=contains(TCPOption(kind=2), TCPOption)
    )
    fits: bool = prototype.matches(packet, known)
    packet = packet.replace({"tcp.options[0].kind": 5}).replace(IPv4, ttl=3)
    return "" if fits else TCP(flags=one_of("SYN")).why_not(packet)


def other_libraries(packet: Packet) -> str:
    theirs, decoded = packet.to_scapy(), packet.deep("dns", using="dpkt")
    back: Packet = from_scapy(theirs)
    also: Packet = from_dpkt(back.to_dpkt())
    name: str = decoded.name + deep(b"data").using
    libraries: tuple[str, ...] = deep_names()["dns"]
    faults: int = len(decoded.faults)
    return name + libraries[faults] + also.summary()


def pieces(packet: Packet) -> list[Packet]:
    cut: list[Packet] = list(packet.fragments(1280, IPv4, overlap=8, id=7))
    return [*cut, *packet.segments(1460, (TCP, 1), overlap=1)]


class Inside(Header):
    port: U16


class Transformed(Header, through=hdlc()):
    size: U16 = auto(size_of("body"))
    key: U32 = 0
    body: Bytes = through(zlib(level=9), through(xor(field("key")), sized(field("size"))))
    near: Inside = through(base64(), sized(field("size")))
    many_of: tuple[Inside, ...] = through(aead("AES-GCM", key=secret("k"), nonce=field("key"), aad="self"), many(size=field("size")))
    name: Text | None = when(field("key") == 1, through(named("mine", bytes.lower, bytes.upper)))


def transforms(header: Transformed, transform: Transform) -> bytes:
    link_type(147, Transformed)
    with secrets({"k": b"", "other": "00ff", "none": None}):
        port: int = header.near.port + header.many_of[0].port
    name: str | None = header.name
    body: bytes = header.body
    made = Transformed(body=b"", near=Inside(port=port), many_of=(header.near,), name=name)
    return transform.decode(transform.encode(body)) + bytes(made)


class Kinded(Header):
    kind: U8 = 0
    size: U8 = auto(size_of("data"))
    data: Bytes = b""


class Most(Kinded, inside="data", when={"kind": 2}):
    value: U16


class Life(Kinded, when={"kind": 7}):
    seconds: U32 = 0


class Branch(Header):
    more: U8 = auto(has("next"))
    next: Self | None = when(field("more") == 1)
    count: U8 = auto(count_of("branches"))
    branches: tuple[Self, ...] = many()


def refined(packet: Packet) -> int:
    found: Kinded = packet[Kinded]
    one = Most(value=5).replace(value=7)
    tree = Branch(next=Branch(), branches=(Branch(),))
    inner: Branch | None = tree.next
    several: tuple[Branch, ...] = tree.branches
    print(inner, several)
    number: int = found.value if isinstance(found, Most) else Life(seconds=1).seconds
    return number + one.value + one.kind


class Step(Header):
    """Values from elsewhere, and of no bytes: int, and None where a condition says so."""

    delta: U8 = 0
    number: int = computed(before("number") + field("delta"))
    more: U16 | None = when(field("^.flags") & 1, 0)


def steps(one: Step) -> int:
    more: int | None = one.more
    number: int = Step(number=5, more=None).number
    return number + (more or 0)


class Asked(Header):
    """Names that point back: text."""

    name: Annotated[str, labels(since="Asked", compress=True)] = "."
    other: Annotated[str, labels()] = raw(b"\xc0\x00")


def asked(packet: Packet) -> str:
    name: str = packet[Asked].name
    return Asked(name=name, other="www.example.com").replace(name="example.com").other


class Placed(Header):
    """Fields at offsets and from the end keep the types of their annotations."""

    offset: U16 = auto(offset_of("blob") + 4)
    blob: Bytes = at(field("offset") - 4, sized(field("offset"), b""), align=4)
    note: Text = at(field("offset"), sized(field("offset"), ""), since="packet")
    place: U16 = auto(offset_of("blob", since="UDP"))
    fill: Bytes = pad(4, since="packet")
    body: Payload
    filler: Bytes | None = when(field("offset") > 0)
    count: U8 | None = when(field("offset") > 0, from_end(1, auto(size_of("filler") + 1)))


def placed(one: Placed) -> int:
    blob: bytes = one.blob
    note: str = one.note
    filler: bytes | None = one.filler
    count: int | None = one.replace(blob=blob, note=note, filler=filler).count
    return (count or 0) + one.offset


class Flows(Header, remembers={("size", sender(), field("id")): field("size")}):
    """What earlier packets told: sizes, records, and the state of a transform."""

    id: U8 = 0
    size: U8 = 0
    body: Bytes = sized(recalled("size", receiver(), field("id"), default=0))
    known: int = computed(recalled("size", sender(), default=0))
    packed: Bytes = through(named("mine", lambda state, data: data, lambda state, data: data, state=dict, key=(sender(), 1)), sized(4))
    records: Records = laid_out(recalled("templates", field("id")), size="length", kinds={8: int})


def flows(data: bytes) -> int:
    context = Context(most=100)
    with context as same:
        same.remember("size", 4, value=1)
    found = dissect(data, Flows, context=context.copy())[Flows]
    body: bytes = found.body
    records: tuple[TemplateRecord, ...] = found.records
    made = Flows(id=1, records=(TemplateRecord({8: 1}),))
    return len(body) + found.known + len(records) + len(records[0].pairs) + made.id
