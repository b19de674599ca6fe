"""Pieces on a sheet: which sheet, from which place on, and how far the printer is off."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from circulation.printing.sheets import Sheet, Spot, laid_out

FARTHEST = 20
"""Millimetres that a printer may be off."""
A_YEAR = 365 * 24 * 60 * 60
CHOSEN = ("copy", "book", "run", "reader")
"""How the rows chosen in a list are named in an address."""
KEPT = ("sheet", "right", "down")
"""What a workstation keeps: its sheets and its printer are the same tomorrow."""


@dataclass(frozen=True)
class Placed:
    """A piece where it is printed; the test page has places without pieces."""

    number: int
    """The place on its sheet, from 1."""
    sheet: Sheet
    spot: Spot
    piece: Any = None

    @property
    def style(self) -> str:
        left, top = self.spot
        size = f"width:{self.sheet.width}mm;height:{self.sheet.height}mm"
        return f"left:{left}mm;top:{top}mm;{size}"


class PlacingForm(forms.Form):
    """The choices of a sheet; subclasses name the sheets and may ask for more."""

    sheets: Sequence[Sheet] = ()
    sheet = forms.ChoiceField(label=gettext_lazy("Sheet"))
    first = forms.IntegerField(
        label=gettext_lazy("First position"),
        min_value=1,
        help_text=gettext_lazy("Counted row by row; more than 1 where a sheet is begun already."),
    )
    right = forms.FloatField(
        label=gettext_lazy("Move right (mm)"), min_value=-FARTHEST, max_value=FARTHEST
    )
    down = forms.FloatField(
        label=gettext_lazy("Move down (mm)"), min_value=-FARTHEST, max_value=FARTHEST
    )

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        choices: Any = [(sheet.code, sheet.title) for sheet in self.sheets]
        self.fields["sheet"].choices = choices  # type: ignore[attr-defined]
        for name in ("right", "down"):
            self.fields[name].widget.attrs["step"] = "0.1"

    def clean(self) -> None:
        sheet, first = self.chosen_sheet, self.cleaned_data.get("first")
        if sheet and first and first > sheet.places:
            text = _("This sheet has %(places)d positions.")
            self.add_error("first", text % {"places": sheet.places})

    @property
    def chosen_sheet(self) -> Sheet | None:
        code = self.cleaned_data.get("sheet")
        return next((sheet for sheet in self.sheets if sheet.code == code), None)


def asked(request: HttpRequest, form_class: type[PlacingForm], *, cookie: str) -> PlacingForm:
    """Return the form as it was filled in, else as this workstation filled it in last."""
    usual = {"sheet": form_class.sheets[0].code, "first": 1, "right": 0, "down": 0}
    filled = {name: text for name, text in request.GET.items() if text}
    kept = _kept(request, cookie)
    form = form_class({**usual, **kept, **filled})
    return form if form.is_valid() or not kept else form_class({**usual, **filled})


def _kept(request: HttpRequest, cookie: str) -> dict[str, str]:
    try:
        kept = json.loads(request.COOKIES.get(cookie, "{}"))
    except ValueError:
        return {}
    if not isinstance(kept, dict):
        return {}
    return {name: str(kept[name]) for name in KEPT if name in kept}


def _keep(request: HttpRequest, response: HttpResponse, form: PlacingForm, *, cookie: str) -> None:
    kept = {name: form.cleaned_data[name] for name in KEPT}
    response.set_cookie(
        cookie,
        json.dumps(kept),
        max_age=A_YEAR,
        path=request.path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def pages(form: PlacingForm, pieces: Sequence[Any]) -> list[list[Placed]]:
    """Return the pieces where they lie, sheet by sheet."""
    sheet, answers = form.chosen_sheet, form.cleaned_data
    if sheet is None:
        return []
    return [
        [_placed(sheet, answers, place, piece) for place, piece in page]
        for page in laid_out(pieces, sheet, first=answers["first"])
    ]


def test_page(form: PlacingForm) -> list[Placed]:
    """Return every place of the sheet, to be held against a real one."""
    sheet = form.chosen_sheet
    places = range(sheet.places) if sheet else ()
    return [_placed(sheet, form.cleaned_data, place) for place in places if sheet]


def _placed(sheet: Sheet, answers: dict[str, Any], place: int, piece: Any = None) -> Placed:
    spot = sheet.spot(place, right=answers["right"], down=answers["down"])
    return Placed(place + 1, sheet, spot, piece)


def respond(
    request: HttpRequest,
    form: PlacingForm,
    pieces: Sequence[Any],
    *,
    piece: str,
    cookie: str,
    context: dict[str, Any],
    problems: Iterable[str] = (),
) -> HttpResponse:
    """Return the document, or the form that says what is wrong with it; `piece` names its look."""
    is_test, is_good = "test" in request.GET, form.is_valid()
    response = TemplateResponse(
        request,
        "circulation/print/sheet.html",
        {
            "piece_class": piece,
            "piece_template": f"circulation/print/{piece}.html",
            "form": form,
            "sheet": form.chosen_sheet if is_good else None,
            "pages": pages(form, pieces) if is_good and not is_test else [],
            "test": test_page(form) if is_good and is_test else [],
            "hidden": _carried(request),
            "problems": list(problems),
            "number": len(pieces),
            **context,
        },
    )
    if is_good and "sheet" in request.GET:
        _keep(request, response, form, cookie=cookie)
    return response


def _carried(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what was chosen in a list, for the form to send along."""
    names = [name for name in request.GET if name in CHOSEN]
    return [(name, value) for name in names for value in request.GET.getlist(name)]
