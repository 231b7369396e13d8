"""``python -m packetlab`` is the command ``packetlab``."""

import sys

from packetlab.cli import main

sys.exit(main())
