"""python -m tests.fuzz: many runs; ends with 1 where one failed."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.fuzz import fuzz

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--runs", type=int, default=20_000, help="changed frames and files, about")
parser.add_argument("--seconds", type=float, default=600.0, help="after which it ends anyway")
parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 24), help="of the first run")
parser.add_argument("--only", type=int, help="repeat this one, as a failure names it")
given = parser.parse_args()
print(f"seed {given.seed}", flush=True)
outcome = fuzz(given.runs, given.seconds, given.seed, given.only)
print(outcome)
sys.exit(bool(outcome.failures))
