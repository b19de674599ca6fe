"""Installs the emulators: `python -m tests.emulators`. The second time it only looks."""

from tests import emulators

emulators.install()
