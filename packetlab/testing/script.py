"""Script: one side of a recorded conversation, without input and output. What the other says goes in, answers come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packetlab.errors import Mismatch
from packetlab.packet.packet import Header, Packet
from packetlab.protocols.dissect import dissect
from packetlab.testing.conversation import RecordedConversation, Turn
from packetlab.testing.failure_report import recorded as recorded_and_now
from packetlab.testing.volatile import Canon, Volatile
from packetlab.view.hexdump import hexdump

AROUND = 32  # bytes shown before and after the first that differs


class Script:
    """Plays one side of a conversation.

    Args:
        server: whether it is the server's side. stream: whether what the other says comes in pieces of any size.
        volatile: fields that may differ, of headers that datagrams begin with; answers get the live values.
        same: for (recorded, live) says whether that is what was to come; of a stream, of all that came in this turn.
    """

    def __init__(
        self, conversation: RecordedConversation, server: bool, stream: bool, volatile: Volatile,
        same: Callable[[bytes, bytes], bool] | None = None,
    ) -> None:  # fmt: skip
        self.turns, self.server, self.stream = conversation.turns, server, stream
        self.place = 0
        self._same, self._received = same, b""
        # An answer begins as the question does where nothing else is declared: bindings often know one direction.
        self._first = next((turn.first for turn in self.turns if turn.first is not None), None)
        self._recorded, self._live = Canon(volatile), Canon(volatile)

    @property
    def next(self) -> Turn | None:
        """What comes next; None at the end."""
        return self.turns[self.place] if self.place < len(self.turns) else None

    @property
    def over(self) -> bool:
        """Whether nothing is left but that sides end."""
        return not any(turn.data or not turn.ends for turn in self.turns[self.place :])

    def say(self) -> list[Turn]:
        """Return what our side says now."""
        said = []
        while (turn := self.next) is not None and turn.by_server == self.server:
            said.append(self._translated(turn))
            self.place += 1
        return said

    def hear(self, data: bytes) -> list[Turn]:
        """Take what the other side says; return what our side says to that. Mismatch: it is not what was recorded."""
        if not self.stream:
            turn = self._expected(data)
            if not self._agrees(turn, data):
                raise Mismatch(self._difference(turn, data))
            self.place += 1
            return self.say()
        self._received += data
        said: list[Turn] = []
        while self._received:
            turn = self._expected(self._received)
            if self._same is not None:
                if not self._same(turn.data, self._received):
                    return said  # perhaps there is more to come
                self._received = b""
            else:
                want, got = turn.data[: len(self._received)], self._received[: len(turn.data)]
                if want != got:
                    raise Mismatch(self._difference(turn, got))
                if len(got) < len(turn.data):
                    return said
                self._received = self._received[len(got) :]
            if turn.ends:
                turn = self.turns[self.place] = Turn(turn.by_server, b"", turn.header, turn.first, True)
                if self._received:
                    raise Mismatch(self._difference(turn, self._received))
                return said
            self.place += 1
            said += self.say()
        return said

    def end(self) -> list[Turn]:
        """The other side has no more to say; return what our side says to that."""
        turn = self.next
        if turn is not None and turn.by_server != self.server:
            if turn.data or self._received:
                raise Mismatch(
                    f"the {self._other} ended where {self._recorded_words(turn)}, of which it said {len(self._received)}"
                )
            if turn.ends:
                self.place += 1
        return self.say()

    @property
    def _other(self) -> str:
        return "client" if self.server else "server"

    def _expected(self, data: bytes) -> Turn:
        turn = self.next
        if turn is None or turn.by_server == self.server:
            shown = hexdump(data[: 2 * AROUND], "  ")
            raise Mismatch(f"the {self._other} said more than was recorded: {len(data)} bytes\n{shown}")
        return turn

    def left(self) -> str:
        """Say what of the recording did not come; empty where all did."""
        turn = self.next
        if self.over or turn is None:
            return ""
        got = f", of which it said {len(self._received)}" if self._received else ""
        return (
            f"the conversation stopped at turn {self.place + 1} of {len(self.turns)}: {self._recorded_words(turn)}{got}"
        )

    def _recorded_words(self, turn: Turn) -> str:
        what = f"{len(turn.data)} bytes" if turn.data or not turn.ends else "an end"
        return f"the recorded {'server' if turn.by_server else 'client'} said {what}"

    def _begins(self, turn: Turn) -> type[Header] | None:
        return turn.first or self._first

    def _agrees(self, turn: Turn, data: bytes) -> bool:
        if self._same is not None:
            return self._same(turn.data, data)
        if self._begins(turn) is not None and self._live.volatile.names:
            first = self._begins(turn)
            recorded = self._recorded.packet(dissect(turn.data, first))
            return bytes(recorded) == bytes(self._live.packet(dissect(data, first)))
        return turn.data == data

    def _translated(self, turn: Turn) -> Turn:
        """Put into an answer the live values of volatile fields that the recording had from the other side."""
        first = self._begins(turn)
        if first is None or not self._recorded.known:
            return turn
        packet = dissect(turn.data, first)
        for cls, names in self._recorded.volatile.fields.items():
            if cls in packet:
                header = packet[cls]
                changes = {name: value for name in names if (value := self._live_value(header, name)) is not None}
                packet = packet.replace(cls, **changes) if changes else packet
        return Turn(turn.by_server, bytes(packet), turn.header, turn.first, turn.ends)

    def _live_value(self, header: Any, name: str) -> Any:
        f = header._by_name[name]
        raw = getattr(header, f.slot)
        if f.kind.wire in ("items", "payload") or raw is None:
            return None
        for place, known in self._recorded.known.items():
            if place[0] is type(header) and raw in known:
                for live, number in self._live.known.get(place, {}).items():
                    if number == known[raw]:
                        return f.kind.value(live)
        return None

    def _difference(self, turn: Turn, data: bytes) -> str:
        text = f"turn {self.place + 1} of {len(self.turns)}: the {self._other} said something else than was recorded"
        first_header = self._begins(turn)
        if first_header is not None:
            recorded, live = dissect(turn.data, first_header), dissect(data, first_header)
            changes = [change for change in recorded.diff(live) if not self._is_volatile(recorded, change.where)]
            if changes:
                return "\n".join([text, *map(recorded_and_now, changes)])
        first = next(
            (i for i, (a, b) in enumerate(zip(turn.data, data, strict=False)) if a != b), min(len(turn.data), len(data))
        )
        start = max(0, first - AROUND) // 16 * 16
        return "\n".join([
            f"{text}, from byte {first} on ({len(turn.data)} bytes recorded, {len(data)} now)",
            "recorded:", hexdump(turn.data[start : first + AROUND], f"  +{start:<5} "),
            "now:", hexdump(data[start : first + AROUND], f"  +{start:<5} "),
        ])  # fmt: skip

    def _is_volatile(self, packet: Packet, where: str) -> bool:
        layer, _, name = where.partition(".")
        return any(
            type(header).__name__ == layer.partition("#")[0]
            and name in self._live.volatile.fields.get(type(header), ())
            for header in packet.layers
        )
