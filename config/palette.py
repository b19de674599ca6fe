"""The palette: readers, books, copies and pages found by a few letters, a card or a barcode.

It answers where Unfold's own search would, and in its clothes. Unfold's looks for models by name,
remembers for five minutes what it found, whatever was changed since, and makes barcodes lower case.
"""

import time
from collections.abc import Iterator
from itertools import chain, islice

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from unfold.dataclasses import SearchResult

from alerts.backoffice.pages import list_url
from catalog.models import Book, Copy
from catalog.search import BARCODE, search
from circulation import reader_page
from circulation.admin.finding import readers_matching
from circulation.models import Reader
from config.unfold import SIDEBAR

LONGEST = 200
FEWEST_LETTERS = 2
MOST_OF_A_KIND, MOST = 6, 30


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """List what was typed may mean; with `open`, go to it where it can mean one thing only."""
    started = time.monotonic()
    text = request.GET.get("s", "").replace("\x00", " ").strip()[:LONGEST]
    if not text:
        return HttpResponse()
    scanned = list(_scanned(request, text))
    found = list(islice(chain(scanned, _named(request, text)), MOST))
    if "open" in request.GET:
        if scanned or len(found) == 1:
            return HttpResponseRedirect(found[0].link)
        context = {**admin.site.each_context(request), "title": _("Found"), "text": text}
        return TemplateResponse(request, "config/found.html", {**context, "found": found})
    if not found:
        return TemplateResponse(request, "config/palette_nothing.html")
    pages = Paginator(found, MOST)
    context = {
        "page_obj": pages,
        "results": pages.page(1),
        "page_counter": 0,
        "execution_time": time.monotonic() - started,
        "command_show_history": False,
    }
    return TemplateResponse(request, "unfold/helpers/command_results.html", context)


def _scanned(request: HttpRequest, text: str) -> Iterator[SearchResult]:
    """Yield the one copy or reader that has this code."""
    if not BARCODE.fullmatch(text):
        return
    if request.user.has_perm("catalog.view_copy"):
        for copy in Copy.objects.select_related("book").filter(barcode=text):
            url = reverse("admin:catalog_copy_change", args=[copy.pk])
            description = _("Copy %(barcode)s") % {"barcode": copy.barcode}
            yield SearchResult(copy.book.title, description, url, "barcode")
    if request.user.has_perm("circulation.view_reader"):
        yield from map(_reader, Reader.objects.filter(card_number=text))


def _named(request: HttpRequest, text: str) -> Iterator[SearchResult]:
    """Yield what is called so: pages first where one has just this name, else last."""
    pages = list(_pages(request, text))
    if any(page.title.casefold() == text.casefold() for page in pages):
        yield from pages
        pages = []
    if len(text) >= FEWEST_LETTERS:
        yield from _readers(request, text)
        yield from _books(request, text)
    yield from pages


def _readers(request: HttpRequest, text: str) -> Iterator[SearchResult]:
    if not request.user.has_perm("circulation.view_reader"):
        return
    named = readers_matching(text).exclude(card_number=text).order_by("search_name", "pk")
    found = list(named[: MOST_OF_A_KIND + 1])
    yield from map(_reader, found[:MOST_OF_A_KIND])
    if len(found) > MOST_OF_A_KIND:
        yield _all(Reader, text, _("All readers called so"))


def _reader(reader: Reader) -> SearchResult:
    url = reader_page.reader_url(reader.pk)
    card = _("Reader, card %(card)s") % {"card": reader.card_number}
    return SearchResult(str(reader), card if reader.card_number else _("Reader"), url, "person")


def _books(request: HttpRequest, text: str) -> Iterator[SearchResult]:
    if not request.user.has_perm("catalog.view_book"):
        return
    found = list(search(text, most=MOST_OF_A_KIND + 1))
    for book in found[:MOST_OF_A_KIND]:
        url = reverse("admin:catalog_book_change", args=[book.pk])
        yield SearchResult(book.title, book.author or _("Book"), url, "menu_book")
    if len(found) > MOST_OF_A_KIND:
        yield _all(Book, text, _("All books that have these words"))


def _all(model: type[Model], text: str, title: str) -> SearchResult:
    """Return the way to the list with everything of a kind that fits."""
    return SearchResult(title, _("List"), list_url(model, q=text), "list")


def _pages(request: HttpRequest, text: str) -> Iterator[SearchResult]:
    """Yield the pages of the sidebar whose name, or whose group's, has words that begin so."""
    wanted = text.casefold().split()
    for group in SIDEBAR:
        heading = str(group.get("title", ""))
        for item in group["items"]:
            title = str(item["title"])
            words = f"{title} {heading}".casefold().replace("-", " ").split()
            begins = all(any(word.startswith(each) for word in words) for each in wanted)
            if begins and item["permission"](request):
                yield SearchResult(title, heading or _("Page"), str(item["link"]), item["icon"])
