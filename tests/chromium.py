"""The system's Chromium, which Playwright drives."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Return its path, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
