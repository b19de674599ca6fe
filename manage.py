#!/usr/bin/env python
"""Carrel's command line: `python manage.py help` lists the commands."""

import os
import sys

from config import demo


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["demo"]:
        demo.use_demo_environment()
    try:
        from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
        from django.core.management import execute_from_command_line  # noqa: PLC0415
    except ImportError as missing:
        raise SystemExit(
            "Django is not installed here. Install Carrel's packages first:\n"
            "    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt\n"
            "and use .venv/bin/python instead of python."
        ) from missing
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as wrong:
        # What is wrong is in the environment, not in the code: the sentence says it all.
        raise SystemExit(str(wrong)) from None


if __name__ == "__main__":
    main()
