"""`manage.py show_notice KIND`: the text of a notice with made-up data, for those who change it."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from alerts import samples
from alerts.events import KINDS, EventKind
from alerts.models import ChannelAudience

MOST = 50


def number_of_things(raw: str) -> int:
    if not raw.isdecimal() or not 1 <= int(raw) <= MOST:
        message = _("“%(raw)s” is no number from 1 to %(most)d.") % {"raw": raw, "most": MOST}
        raise ArgumentTypeError(message)
    return int(raw)


class Command(BaseCommand):
    help = (
        "Show a notice as it would be sent, with made-up data. Put texts of your own as "
        "alerts/<kind>/subject.txt, text.txt and text.html into the folder named by "
        "ALERT_TEMPLATES, and look at them here."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "kind", metavar="KIND", choices=EventKind.values, help=", ".join(EventKind.values)
        )
        parser.add_argument("--language", default="", help="such as pl; the site's, if left out")
        parser.add_argument(
            "--count", type=number_of_things, default=1, help="about how many things (default: 1)"
        )
        parser.add_argument("--staff", action="store_true", help="as staff get it")
        parser.add_argument("--html", action="store_true", help="the HTML instead of the text")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = EventKind(options["kind"])
        flags = [each for each in ChannelAudience if each.flag in KINDS[kind].audience]
        audience = ChannelAudience.STAFF if options["staff"] else ChannelAudience.READERS
        message = samples.message(
            kind,
            audience if audience in flags else flags[0],
            count=options["count"],
            language=options["language"],
        )
        if options["html"]:
            self.stdout.write(message.html)
            return
        self.stdout.write(f"{message.subject}\n\n{message.text}")
