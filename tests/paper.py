"""What stands on paper: PDFs that Chromium prints, read and measured, and barcodes scanned."""

from dataclasses import dataclass
from pathlib import Path

import pypdfium2
import zxingcpp

DOTS = 600
"""To the inch, as a laser printer has them."""
INCH = 25.4


@dataclass(frozen=True)
class Scanned:
    """A barcode as a scanner reads it, and where it lies; all lengths are in millimetres."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Page:
    width: float
    height: float
    text: str
    barcodes: list[Scanned]


def read(file: Path) -> list[Page]:
    document = pypdfium2.PdfDocument(file)
    try:
        return [_page(page) for page in document]
    finally:
        document.close()


def scan(pixels: bytes, *, width: int, height: int) -> list[zxingcpp.Barcode]:
    """Return the Code 128 barcodes in a picture of one byte for each pixel."""
    picture = memoryview(pixels).cast("B", (height, width))
    return zxingcpp.read_barcodes(picture, zxingcpp.BarcodeFormat.Code128)


def _page(page: pypdfium2.PdfPage) -> Page:
    picture = page.render(scale=DOTS / 72, grayscale=True)
    found = scan(bytes(picture.buffer), width=picture.stride, height=picture.height)
    width, height = (length / 72 * INCH for length in page.get_size())
    text = page.get_textpage().get_text_bounded()
    return Page(width, height, text, [_scanned(barcode) for barcode in found])


def _scanned(barcode: zxingcpp.Barcode) -> Scanned:
    place = barcode.position
    corners = (
        place.top_left.x,
        place.top_left.y,
        place.bottom_right.x,
        place.bottom_right.y,
    )
    left, top, right, bottom = (dots / DOTS * INCH for dots in corners)
    return Scanned(barcode.text, left, top, right, bottom)
