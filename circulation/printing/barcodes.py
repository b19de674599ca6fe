"""Code 128 as SVG, in bars of whole printer dots that a scanner at the desk can read."""

import re
from dataclasses import dataclass

from barcode.codex import Code128
from django.utils.html import format_html
from django.utils.safestring import SafeString

QUIET = 10
"""Modules of white on either side, which Code 128 asks for."""
DOT = 25.4 / 600
"""Of a laser printer, in millimetres: a bar of whole dots is as wide as it should be."""
NARROWEST, WIDEST = 0.19, 0.34
"""Of a module, in millimetres: narrower ones, common scanners do not read."""
PRINTABLE = re.compile(r"[\x20-\x7e]+")


class _Code128(Code128):  # type: ignore[misc]  # it ships no types
    def _try_to_optimize(self, encoded: list[int]) -> list[int]:
        """Keep a leading 99, which has the number of a switch to another set of characters."""
        if self.code.startswith("99"):
            return encoded
        optimized: list[int] = super()._try_to_optimize(encoded)
        return optimized


class TooLongError(Exception):
    """The barcode cannot be printed so narrow, or Code 128 has no bars for it."""


@dataclass(frozen=True)
class Bars:
    """A barcode that fits: its modules, 1 for a bar, and how wide each of them is."""

    modules: str
    module: float
    """In millimetres."""

    @property
    def width(self) -> float:
        """In millimetres, with the white on both sides."""
        return round((len(self.modules) + 2 * QUIET) * self.module, 3)

    def svg(self, *, height: float) -> SafeString:
        """Return a picture of the bars and their quiet zones, `height` millimetres high."""
        runs = ((found.start() + QUIET, len(found[0])) for found in re.finditer("1+", self.modules))
        return format_html(
            '<svg class="bars" width="{}mm" height="{}mm" viewBox="0 0 {} 1" '
            'preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>',
            self.width,
            height,
            len(self.modules) + 2 * QUIET,
            "".join(f"M{start} 0h{length}v1h-{length}z" for start, length in runs),
        )


def fitted(text: str, *, width: float) -> Bars:
    """Return the widest bars for a text within so many millimetres. Raises TooLongError."""
    if not PRINTABLE.fullmatch(text):
        raise TooLongError(text)
    [modules] = _Code128(text).build()
    room = min(width / (len(modules) + 2 * QUIET), WIDEST)
    module = int(room / DOT) * DOT
    if module < NARROWEST:
        raise TooLongError(text)
    return Bars(modules, round(module, 5))
