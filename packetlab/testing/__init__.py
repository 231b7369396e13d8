"""Testing: expectations as a timeline, captures as golden copies, peers that replay. Usable without pytest.

Tape: what is to be seen, and what is sent, as a timeline; strict at its end. Golden: an exchange recorded once, compared
or replayed from then on; Volatile: what may differ. Replay: one side of a recorded conversation, for a live program to
talk with. Programs: real clients and servers in a lab's hosts.
"""

from packetlab.testing.golden import Golden
from packetlab.testing.peer import Replay
from packetlab.testing.programs import Programs
from packetlab.testing.tape import Tape
from packetlab.testing.timeline import Expected
from packetlab.testing.volatile import Volatile

__all__ = ["Expected", "Golden", "Programs", "Replay", "Tape", "Volatile"]
