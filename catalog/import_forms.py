"""The forms of the import and export pages."""

from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from catalog import imports, uploads
from catalog.exports import FORMATS

ENCODINGS = (
    ("", gettext_lazy("Find out")),
    ("utf-8", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("cp1250", gettext_lazy("Windows, Central Europe (cp1250)")),
    ("cp1251", gettext_lazy("Windows, Cyrillic (cp1251)")),
    ("cp1252", gettext_lazy("Windows, Western Europe (cp1252)")),
)
DELIMITERS = (
    ("", gettext_lazy("Find out")),
    (",", gettext_lazy("Comma")),
    (";", gettext_lazy("Semicolon")),
    ("tab", gettext_lazy("Tab")),
)
OF_BOOKS = ("accept_bad_isbn", "copies")


class UploadForm(forms.Form):
    """A file and how to read it."""

    import_file = forms.FileField(
        label=gettext_lazy("File"),
        widget=UnfoldAdminFileFieldWidget,
        help_text=gettext_lazy("CSV, TSV or Excel (.xlsx); the first line names the columns."),
    )
    encoding = forms.ChoiceField(
        label=gettext_lazy("Encoding"),
        choices=ENCODINGS,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Delimiter"),
        choices=DELIMITERS,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    mapping = forms.CharField(
        label=gettext_lazy("Columns with other names"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "One a line, as “Their header=our_column”; nothing after the sign leaves a column out. "
            "The usual names of other systems are known without."
        ),
    )
    skip_invalid = forms.BooleanField(
        label=gettext_lazy("Leave wrong rows out and import the others"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )
    accept_bad_isbn = forms.BooleanField(
        label=gettext_lazy("Take books whose ISBN has a wrong check digit"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=gettext_lazy("The ISBN is kept as it is printed, and each such row is listed."),
    )
    copies = forms.IntegerField(
        label=gettext_lazy("Copies for each new book of which the file gives none"),
        required=False,
        min_value=0,
        max_value=imports.MOST_COPIES,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind != "books":
            for name in OF_BOOKS:
                del self.fields[name]

    def clean_import_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["import_file"]
        if (file.size or 0) > uploads.MOST_BYTES:
            raise forms.ValidationError(
                _("This file is larger than %(most)d MB. Divide it, or use manage.py import_csv.")
                % {"most": uploads.MOST_BYTES // uploads.PART}
            )
        file.name = Path(file.name or "").name[:255]
        return file

    def clean_delimiter(self) -> str:
        chosen: str = self.cleaned_data["delimiter"]
        return "\t" if chosen == "tab" else chosen

    def clean_mapping(self) -> dict[str, str]:
        pairs = {}
        for line in self.cleaned_data["mapping"].splitlines():
            if not line.strip():
                continue
            title, equals, name = line.rpartition("=")
            if not equals or not title.strip():
                raise forms.ValidationError(
                    _("“%(line)s” is not of the form “Their header=our_column”.") % {"line": line}
                )
            pairs[title.strip()] = name.strip()
        return pairs

    def options(self) -> imports.Options:
        chosen = self.cleaned_data
        return imports.Options(
            skip_invalid=chosen["skip_invalid"],
            encoding=chosen["encoding"],
            delimiter=chosen["delimiter"],
            mapping=chosen["mapping"],
            accept_bad_isbn=chosen.get("accept_bad_isbn", False),
            copies=chosen.get("copies") or 0,
        )


class ConfirmForm(forms.Form):
    """Which preview was agreed to."""

    upload = forms.IntegerField(widget=forms.HiddenInput)
    fingerprint = forms.CharField(widget=forms.HiddenInput)


class ExportForm(forms.Form):
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[(name, format_lazy("{}", name.upper())) for name in FORMATS],
        initial="csv",
        widget=UnfoldAdminSelectWidget,
    )
