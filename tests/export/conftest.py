"""The example of a user's file is read by the tests that export it, and is no module of the suite."""

collect_ignore = ["harbour.py"]
