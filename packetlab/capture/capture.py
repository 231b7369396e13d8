"""Capture: frames from a file, a pipe or memory, read as they are needed. What a file looks like it leaves to others."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

from packetlab.capture.batch import FrameBatch
from packetlab.capture.files.batches import pcap_batches, pcapng_batches
from packetlab.capture.files.blocks import Block, MetadataBlock, Section
from packetlab.capture.files.declarations import Offers, decode_declarations
from packetlab.capture.files.pcap import read_pcap
from packetlab.capture.files.pcapng import Listener, Reader, read_metadata
from packetlab.capture.files.source import Following, SourceBytes, Window, start_of
from packetlab.capture.filters.patterns import as_test, frame_matcher, needed
from packetlab.capture.frame import Frame
from packetlab.capture.order import PacketOrder, batches_in_order, begun, in_order, is_ordered
from packetlab.capture.reading import records
from packetlab.errors import CaptureError
from packetlab.hooks import Shown
from packetlab.renamed import renamed

if TYPE_CHECKING:
    from packetlab.capture.filters.bpf import PcapFilter
    from packetlab.capture.flows.sides import Sides
    from packetlab.capture.index import Index
    from packetlab.capture.reassembly import Conversation, Datagram, Stream, StreamMessage, WebSocketMessage
    from packetlab.capture.tables.engines import FieldFilter
    from packetlab.capture.tables.table import Table
    from packetlab.codec.context.context import Context
    from packetlab.packet.packet import Header, Packet
    from packetlab.schema.load import Declarations

    H = TypeVar("H", bound=Header)
    Pattern = Header | type[Header] | str | Callable[[Packet], bool]


class Capture(Shown):
    """Frames in order, lazily: iterating streams from the file, so memory stays flat whatever its size.

    ``Capture(path)`` may be iterated any number of times, so may a file object that can seek; ``Capture(pipe)`` once. A
    file that is damaged or ends inside a record gives every whole frame and then one `CaptureError`; with ``strict=False``
    iteration just ends and `faults` has the error. Blocks and records over 64 MiB, more than 4096 options of a block, and
    more than 65,536 interfaces of a section (or 64 MiB about them) are taken for damage. With `follow` it waits for more at the
    end of a file and at a silent pipe: for this many seconds (True: for ever), or until `stop`. A copy of `context` is what was remembered before.

    Attributes:
        name: for messages. strict: whether damage is raised.
    """

    _left: Counter[str] = Counter()  # of a rewritten one
    _order: PacketOrder | None = None
    _context: Context | None = None

    strict = True
    _faults: tuple[CaptureError, ...] = ()
    _parent: Capture | None = None
    _held: list[Frame] | None = None
    _used = False
    _listener: Listener | None = None
    _following: Following | None = None
    _source: str | Path | BinaryIO | None = None
    _start: int | None = None
    _make_batches: Callable[[bool], Iterator[FrameBatch]] | None = None

    def __init__(self, source: str | Path | BinaryIO, *, strict: bool = True, follow: bool | float = False, context: Context | None = None) -> None:
        self.name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "stream"))
        self.strict, self._source, self._start = strict, source, start_of(source)
        self._offers, self._context = Offers(), context and context.copy()  # offers: of a stream that is read once
        self._following = None if follow is False else Following(None if follow is True else follow)
        self._make: Callable[[], Iterator[Frame]] = lambda: self._read(source)

    @classmethod
    def of(cls, frames: Iterable[object], *, context: Context | None = None) -> Capture:
        """Return a capture of frames in memory, or of whatever are packets (see `Frame.of`); `append` adds to it.

        Frames are numbered by their places in it, from 1, as those of a file; what was given stays as it is."""
        return cls._holding([Frame.of(frame).numbered(number) for number, frame in enumerate(frames, 1)], context=context and context.copy())

    @classmethod
    def _holding(cls, held: list[Frame], name: str = "frames in memory", strict: bool = True, context: Context | None = None) -> Capture:
        capture = cls._from(lambda: iter(held), name)
        capture._held, capture.strict, capture._context = held, strict, context
        return capture

    @classmethod
    def _from(cls, make: Callable[[], Iterator[Frame]], name: str) -> Capture:
        capture = cls.__new__(cls)
        capture.name, capture._make, capture._offers = name, make, Offers()
        return capture

    def _part(self, make: Callable[[], Iterator[Frame]]) -> Capture:
        part = Capture._from(make, self.name)
        part.strict, part._parent = self.strict, self
        return part

    def _in_stretches(self, make: Callable[[bool], Iterator[FrameBatch]]) -> Capture:
        """Return the part whose frames come in batches, `make(lasting)`, and one by one only out of these."""
        part = self._part(lambda: (frame for batch in make(False) for frame in batch))
        part._make_batches = make
        return part

    @property
    def faults(self) -> tuple[CaptureError, ...]:
        """The errors met by the last iteration that came to an end, of this capture or the one it is a part of.

        Times that a pcap file tells wrongly (a fraction of a second that is one or more) are reported here and not raised.
        """
        return self._parent.faults if self._parent is not None else self._faults

    @property
    def left(self) -> Counter[str]:
        """What `rewrite` could not find and left as it was, as far as the capture was read: what -> in how many frames."""
        above: Counter[str] = self._parent.left if self._parent is not None else Counter()
        return self._left + above

    @property
    def again(self) -> bool:
        """Whether it can be iterated any number of times: not so for a pipe."""
        if self._parent is not None:
            return self._parent.again
        named = isinstance(self._source, (str, Path)) and self._source != "-"
        return named or self._start is not None or self._held is not None

    def append(self, frame: object) -> None:
        """Add a frame, or whatever is a packet, to a capture in memory. TypeError for any other."""
        if self._held is None:
            raise TypeError(f"{self.name}: only a capture in memory takes frames; write others with a Writer")
        self._held.append(Frame.of(frame).numbered(len(self._held) + 1))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle a file by its name, anything else as frames in memory. TypeError for a stream that is read once."""
        if isinstance(self._source, (str, Path)) and self._source != "-":
            following = self._following
            follow = False if following is None else True if following.silence is None else following.silence
            return partial(Capture, self._source, strict=self.strict, follow=follow, context=self._context), ()
        if not self.again:
            raise TypeError(f"{self.name}: a stream that is read once cannot be pickled; Capture.of(...) holds its frames")
        return Capture._holding, (list(self), self.name, self.strict, self._context)

    # Reading -----------------------------------------------------------------------------------------------

    def _read(self, where: object, tap: Callable[[bytes], object] | None = None) -> Iterator[Frame]:
        return records(self, where, lambda data: Reader(data, self._ear()).frames(tap), read_pcap)

    def _ear(self) -> Listener | None:
        """What wants to hear what the file says in addition to its frames."""
        return None if self.again and self._listener is None else self._hear

    def _hear(self, block: MetadataBlock) -> None:
        if isinstance(block, Section) and not self.again:
            self._offers.hear(block)
        if self._listener is not None:
            self._listener(block)

    def metadata(self) -> Iterator[MetadataBlock]:
        """Yield what a pcapng file says in addition to its frames: sections, interfaces, names, statistics, secrets, custom data.

        Blocks of other kinds, and those that are not what they say, come as `Block`. CaptureError as in `blocks`.
        """
        if self._source is None:
            raise CaptureError(self.name, "a whole pcapng file", "chosen frames or frames in memory")
        said = records(self, self._source, read_metadata, None)
        return (block for block in said if not isinstance(block, Frame))

    notes = renamed("notes", "metadata")

    @property
    def declarations(self) -> Declarations:
        """Declarations of headers that travel in the file, offered and not declared: see `schema.load.HeaderDescription`.

        What is shown of them by ``str()`` is safe to print; ``declare()`` makes the classes. Of a stream that is read
        once they are known when its first frame is. CaptureError where they make no sense; the frames can be read then.
        """
        root = self._root
        offers = root._offers
        if root._source is not None and root.again:
            offers = Offers()
            for said in records(root, root._source, read_metadata, lambda data: iter(())):
                if isinstance(said, Frame):
                    break
                if isinstance(said, Section):
                    offers.hear(said)
        elif root._source is not None and not root._used:
            raise CaptureError(root.name, "a first frame read before what the stream declares", "none read")
        return decode_declarations(offers.sections, root.name)

    def stop(self) -> None:
        """End the waiting of `follow`, from another thread too: iteration ends with the last whole frame of what is there by then."""
        following = self._root._following
        if following is not None:
            following.stop.set()

    def blocks(self) -> Iterator[Block]:
        """Yield every block of a pcapng file: names, statistics, secrets, custom and unknown ones too.

        CaptureError for any other capture, and for damage as in iteration.
        """
        if self._source is None:
            raise CaptureError(self.name, "a whole pcapng file", "chosen frames or frames in memory")
        return records(self, self._source, lambda data: Reader(data).blocks(), None)

    def batches(self, lasting: bool = True) -> Iterator[FrameBatch]:
        """Yield the frames in stretches (4096 of those chosen, or in memory), each in one buffer, times and sizes as arrays beside it.

        Damage is reported as in iteration. Where not `lasting`, the buffer of one is good only until the next: that is faster.
        """
        return batches_in_order(self, self._in_file_batches(lasting)) if is_ordered() else self._in_file_batches(lasting)

    def _in_file_batches(self, lasting: bool) -> Iterator[FrameBatch]:
        if self._source is not None:
            memory = SourceBytes if lasting else Window
            yield from records(self, self._source, lambda data: pcapng_batches(data, self._ear()), pcap_batches, memory)
            return
        if self._make_batches is not None:
            yield from self._make_batches(lasting)
            return
        frames = iter(self)
        while some := list(islice(frames, 4096)):
            yield FrameBatch.of(some)

    def table(self, *columns: object, engine: str | None = None) -> Table:
        """Return a table of columns, read as it is needed.

        Args:
            columns: each a name ("ip.src", "ip#2.src" for the second such header, "idp.dst.net", "udp.payload", or of a
                header alone for whether it is there), a declared field (``Beacon.station``), a header class, or what the
                file says of each frame: number, time_ns, length, wire_length, linktype, interface, comment, faults.
            engine: "rows" (numpy) or "loops" (compiled by numba, of the extra `fast`); by default loops where these are
                compiled already or the file is large enough.

        BuildError for a name that is not declared.
        """
        from packetlab.capture.tables.table import Table

        return Table(self, columns, engine)

    @property
    def _root(self) -> Capture:
        return self if self._parent is None else self._parent._root

    def _capture_size(self) -> int | None:
        """Return the size of the file, None where that is not known."""
        root = self._root
        try:
            return os.path.getsize(root._source) if isinstance(root._source, (str, Path)) else None
        except OSError:
            return None

    def __iter__(self) -> Iterator[Frame]:
        return in_order(self, self._make())

    def packets(self) -> Iterator[Packet]:
        """Yield each frame dissected."""
        for frame in self:
            yield frame.packet()

    def datagrams(self, **limits: Any) -> Iterator[Datagram]:
        """Yield each frame, those with IP fragments put together; see `Fragments` for the limits."""
        whole = self._parent is None or self._order is not None  # in a part of a capture they go by the frames of all of it
        return self._through("Fragments", "receive", {"context": begun(self) if whole else None, **limits})

    def streams(self, **limits: Any) -> Iterator[Stream]:
        """Yield the TCP connections, each as soon as it is over; see `Streams` for the limits."""
        return self._through("Streams", "take", limits)

    def messages(self, cls: type[H], **limits: Any) -> Iterator[StreamMessage[H]]:
        """Yield the messages of TCP streams that begin with a header of a class with ``stream=True``, as they are complete.

        See `StreamMessage`, and `StreamMessages` for the limits. BuildError for a class that is no such, or not bound under TCP.
        """
        return self._through("StreamMessages", "receive", {"cls": cls, "context": begun(self), **limits})

    def conversations(self, **limits: Any) -> Iterator[Conversation]:
        """Yield the SPP connections with their messages, each as soon as it is over; see `Conversations` for the limits."""
        return self._through("Conversations", "take", limits)

    def websocket_messages(self, **limits: Any) -> Iterator[WebSocketMessage]:
        """Yield the messages and control frames of WebSockets, as they are complete; see `WebSockets` for the limits."""
        return self._through("WebSockets", "receive", limits)

    def _through(self, machine: str, verb: str, limits: dict[str, object]) -> Iterator[Any]:
        from packetlab.capture import reassembly

        made = getattr(reassembly, machine)(**limits)
        return reassembly.drive(self, getattr(made, verb), made.end)

    def count(self) -> int:
        """Return how many frames there are, by reading through them."""
        return sum(map(len, self.batches(False))) if self._in_batches else sum(1 for _ in self)

    def __len__(self) -> int:
        # list() asks for the length first, so counting here would read a file twice and use a pipe up.
        if self._held is None:
            raise TypeError(f"{self.name}: the number of frames is known after reading them: count()")
        return len(self._held)

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Capture: ...
    def __getitem__(self, index: int | slice) -> Frame | Capture:
        """Return one frame (from 0; negative from the end), or a lazy capture of some.

        A negative index reads through the file and keeps that many frames; negative parts of a slice keep all.
        """
        if isinstance(index, slice):
            parts = (index.start, index.stop, index.step)
            if any(part is not None and part < 0 for part in parts):
                return self._part(lambda: iter(list(self)[index]))
            return self._part(lambda: islice(iter(self), *parts))
        if index < 0:
            last = deque(self, maxlen=-index)
            if len(last) < -index:
                raise IndexError(f"{self.name}: no frame {index}")
            return last[0]
        for frame in islice(iter(self), index, None):
            return frame
        raise IndexError(f"{self.name}: no frame {index}")

    def index(self) -> Index[Capture]:
        """Go over a file once and return an index of it: any frame, slice or span of time is read at once from then on.

        The index takes a few MB of memory at most, whatever the size of the file. CaptureError for damage, as in iteration,
        for a packed file (it can be read from its beginning alone), and for what is no file or is followed.
        """
        from packetlab.capture.index import Index

        return Index(self)

    def where(self, pattern: Pattern | None = None, *, pcap: str | None = None) -> Capture:
        """Return a lazy capture of the frames whose packets match.

        `pattern`: a prototype header (its given fields), a header class (is it there), a filter in words
        ("ip.src == 10.0.0.1 and udp", see `compile_filter`), several headers stacked, or a function of the packet. Frames
        in a file that their bytes rule out are never made to objects; a function is called with every packet.
        `pcap`: an expression as tcpdump takes it (see `capture.bpf.PcapFilter`), which frames have to pass too.
        """
        chosen = self
        if pcap is not None:
            from packetlab.capture.filters.bpf import PcapFilter

            chosen = self._passing(PcapFilter(pcap, None))
        if pattern is None:
            return chosen
        if chosen._in_batches:
            from packetlab.capture.tables.engines import FieldFilter

            test = as_test(pattern)
            if FieldFilter.able(test):
                return chosen._passing(FieldFilter(test, self._capture_size()))
            test = needed(pattern)
            if test is not None:
                chosen = chosen._passing(FieldFilter(test, self._capture_size()))
        test = frame_matcher(pattern)
        return chosen._part(lambda: filter(test, chosen))

    @property
    def _in_batches(self) -> bool:
        """Whether the frames come in batches, and one by one only out of these."""
        return self._source is not None or self._make_batches is not None

    def _passing(self, test: PcapFilter | FieldFilter) -> Capture:
        """Return the frames that pass; from a file, those that do not are never made into objects."""
        if not self._in_batches:
            return self._part(lambda: filter(test, self))
        def batches(lasting: bool) -> Iterator[FrameBatch]:
            for batch in self.batches(lasting):
                passed = test.mask(batch)
                if passed.any():
                    yield batch if passed.all() else batch.chosen(passed)

        return self._in_stretches(batches)

    def rewrite(
        self, *, mac: Mapping[object, object] | None = None, src_mac: object = None, dst_mac: object = None,
        ip: Mapping[object, object] | None = None, src_ip: Mapping[object, object] | None = None,
        dst_ip: Mapping[object, object] | None = None, ports: Mapping[object, object] | None = None, vlan_push: object = None,
        vlan_pop: bool = False, vlan: Mapping[str, int] | None = None, ttl: int | str | None = None,
        tos: int | None = None, tclass: int | None = None, flowlabel: int | None = None, mtu: int | None = None,
        fixlen: str | None = None, fcs: bool = False, link: object = None, hdlc: tuple[int, int] = (0x0F, 0),
        anonymise: int | str | bytes | None = None, fixcsum: bool = False,
    ) -> Capture:  # fmt: skip
        """Return a lazy capture of the same frames changed; times, comments and interfaces stay.

        Args:
            mac: old address -> new, wherever it is (ARP and neighbour discovery too). src_mac, dst_mac: those of all frames.
            ip: network -> network for both ends, in ARP, quoted and tunnelled packets too. src_ip, dst_ip: for one end, in
                IP headers only. The first network that fits counts.
            ports: old -> new for both ends of TCP and UDP, and for `sport` and `dport` of declared headers; keys may be ranges.
            vlan_push: an id, a `VLAN` header or a dict of its fields (`type`: the tag's own). vlan_pop: takes the outermost
                tag away. vlan: changes {id, priority, drop_eligible} of it.
            ttl: a number, or "+n" or "-n". tos: of IPv4; tclass, flowlabel: of IPv6; all of the outermost header.
            mtu: bytes of a network packet at most. fixlen: frames that the capture cut are filled up with zeros ("pad"),
                said to be as short as they are ("trunc") or left out ("del"). fcs: takes check sequences away.
            link: "ethernet", "hdlc", "raw", or (link type, bytes): the link header instead. hdlc: address and control.
            anonymise: a seed for addresses that no map speaks of (see `capture.anonymise`).
            fixcsum: put wrong checksums right too; otherwise these stay (a change that differs by as much as one was wrong by
                makes it right), and right ones stay right.

        Headers of your own are rewritten by their declarations: fields that are addresses, in items of `many()` too, and
        checksums. What cannot be found is counted in `left` of the capture returned while that is read (what -> frames).
        BuildError for an option that does not fit; CaptureError while reading where a frame cannot be given `link`.
        """
        from packetlab.capture.rewrite.rewrite import Rewriter, batches
        rewriter = Rewriter(
            mac=mac, src_mac=src_mac, dst_mac=dst_mac, ip=ip, src_ip=src_ip, dst_ip=dst_ip, ports=ports,
            vlan_push=vlan_push, vlan_pop=vlan_pop, vlan=vlan, ttl=ttl, tos=tos, tclass=tclass, flowlabel=flowlabel,
            mtu=mtu, fixlen=fixlen, fcs=fcs, link=link, hdlc=hdlc, anonymise=anonymise, fixcsum=fixcsum,
            capture_size=self._capture_size(),
        )  # fmt: skip
        part = self._in_stretches(lambda lasting: batches(self.batches(lasting), rewriter, lasting))
        part._left, part._order = rewriter.left, PacketOrder(part)
        return part

    def sides(
        self, by: str | Callable[[Packet], object] = "first", servers: Iterable[object] | None = None
    ) -> Sides[Capture]:
        """Tell for each frame whether a client or a server sent it; see `capture.sides.Sides`.

        `by`: "first" (who is first seen sending is a client), "port" (below 1024 are servers; else who began is the client),
        "cidr" or "mac" (`servers`: networks or addresses), or a function of a packet that returns "client", "server" or
        whether it is a server's.
        """
        from packetlab.capture.flows.sides import split
        return split(self, by, servers)

    def write(
        self, where: str | Path | BinaryIO, format: str | None = None, *, declare: Iterable[type[Header]] = ()
    ) -> int:
        """Write the frames to a file and return their number; see `Writer` for the format, and for `declare`.

        From a pcapng file to another, all blocks are copied as they are, those without a packet too. Of chosen frames, and
        with `declare`, sections, interfaces, names, statistics, secrets and custom data that may be copied are kept as
        far as they were read. CaptureError for the very file that is being read, and for damage: what was whole is
        written then.
        """
        from packetlab.capture.files.copy import write
        return write(self, where, format, declare)

    def __repr__(self) -> str:
        return f"<Capture {self.name!r}>"
