"""`manage.py doctor`: what is set up, what is missing and what is unhealthy, on one screen."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config.doctor import examination, findings
from config.doctor.findings import Finding, Section, State


class Command(BaseCommand):
    help = (
        "Tell what is set up, what is missing and what is unhealthy. Changes nothing; asks the "
        "database, Redis, the mail server and the sign-in provider, for seconds at most. Exits "
        "with 1 where there is a problem, else with 0: advice and what is not set up are none."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object instead of lines"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = []
        for section in examination.examine():
            found.append(section)
            if not options["json"]:
                self._show(section)
        problems = findings.count(found, State.PROBLEM)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found), ensure_ascii=False, indent=2))
        if problems:
            raise CommandError(_("Problems: %(number)d.") % {"number": problems})

    def _show(self, section: Section) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(section.title))
        for finding in section.findings:
            self.stdout.write(f"  {self._mark(finding)} {finding.sentence}")
            if finding.remedy:
                self.stdout.write(f"           {finding.remedy}")

    def _mark(self, finding: Finding) -> str:
        word = f"{WORDS[finding.state]:8}"
        match finding.state:
            case State.OK:
                return self.style.SUCCESS(word)
            case State.ADVICE:
                return self.style.WARNING(word)
            case State.PROBLEM:
                return self.style.ERROR(word)
        return word


def _as_json(found: list[Section]) -> dict[str, Any]:
    return {
        "ok": not findings.count(found, State.PROBLEM),
        "sections": [
            {
                "title": section.title,
                "findings": [
                    {"state": each.state, "sentence": each.sentence, "remedy": each.remedy}
                    for each in section.findings
                ],
            }
            for section in found
        ],
    }


WORDS = {State.OK: "ok", State.OFF: "–", State.ADVICE: "advice", State.PROBLEM: "PROBLEM"}
