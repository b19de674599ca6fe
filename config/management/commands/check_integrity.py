"""`manage.py check_integrity`: whether everything that must be true of the data is true."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from config import integrity
from config.integrity import Result


class Command(BaseCommand):
    help = _(
        "Checks that loans, holds, copies, charges and the search index agree with each other. "
        "Changes nothing. Exits with 1 where something is wrong, else with 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help=_("print one JSON object instead of lines")
        )

    def handle(self, *_args: str, **options: Any) -> None:
        results = []
        for result in integrity.run():
            results.append(result)
            if not options["json"]:
                self._show(result)
        wrong = [result for result in results if result.count]
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(results), ensure_ascii=False, indent=2))
        if wrong:
            raise CommandError(
                _("%(wrong)d of %(all)d checks found something wrong.")
                % {"wrong": len(wrong), "all": len(results)}
            )

    def _show(self, result: Result) -> None:
        if not result.count:
            self.stdout.write(f"{self.style.SUCCESS(_('ok'))}  {result.check.sentence}")
            return
        self.stdout.write(f"{self.style.ERROR(_('WRONG'))}  {result.check.sentence}")
        for line in result.listed:
            self.stdout.write(f"    {line}")
        if more := result.count - len(result.listed):
            self.stdout.write(f"    {_('and %(more)d more') % {'more': more}}")


def _as_json(results: list[Result]) -> dict[str, Any]:
    return {
        "ok": not any(result.count for result in results),
        "checks": [
            {
                "name": result.check.name,
                "sentence": str(result.check.sentence),
                "violations": result.count,
                "listed": result.listed,
            }
            for result in results
        ],
    }
