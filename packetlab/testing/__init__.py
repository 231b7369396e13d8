"""Testing: expectations as a timeline, captures as golden copies, peers that replay. Usable without pytest.

    tape                   `Tape`: what is to be seen, and what is sent; strict at its end
    timeline, endpoints, patterns    an entry of it: when, from whom to whom, what
    sources, player        where frames come from; what sends the tape's own
    failure_report, artifacts    what a failure says, and what it leaves behind
    golden, conversation   `Golden`: an exchange recorded once, compared or replayed later; what was said in it, in turns
    volatile               `Volatile`: what may differ
    peer, script           `Replay`: one side of a recorded conversation, for a live program to talk with
    programs               `Programs`: real clients and servers in a lab's hosts

Begin with `tape`.

>>> from packetlab import PEX, Capture
>>> from packetlab.testing import Tape
>>> tape = Tape(Capture("captures/xns-tour.pcapng"), allow_unexpected=True)
>>> expected = tape.expect(None, None, PEX())
>>> tape.check()
"""

from packetlab.testing.golden import Golden
from packetlab.testing.peer import Replay
from packetlab.testing.programs import Programs
from packetlab.testing.tape import Tape
from packetlab.testing.timeline import Expected
from packetlab.testing.volatile import Volatile

__all__ = ["Expected", "Golden", "Programs", "Replay", "Tape", "Volatile"]
