"""Who may change how people sign in, and what they may do; and the forms of a reader's page."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from alerts import preferences
from circulation.models import Reader

RIGHTS = ("is_staff", "is_superuser", "groups")
# Whoever writes these can sign in as that person, or keep that person from signing in.
IDENTITY = ("email", "contact_email", "is_active", "is_email_verified")


def may_touch_account(request: HttpRequest, reader: Any) -> bool:
    """Only superusers change how people with rights sign in; else any librarian could be one.

    `is_granted` comes with the rows of ReaderAdmin: rights that count as soon as one is staff.
    """
    if request.user.is_superuser:
        return True
    return not (reader.is_staff or reader.is_superuser or getattr(reader, "is_granted", True))


def is_granted() -> Q:
    """Tell whether an account is in a role or has permissions of its own."""
    roles = Reader.groups.through.objects.filter(reader=OuterRef("pk"))
    permissions = Reader.user_permissions.through.objects.filter(reader=OuterRef("pk"))
    return Exists(roles) | Exists(permissions)


class NewReaderForm(forms.ModelForm):
    """A new reader cannot sign in until a password is set."""

    def save(self, commit: bool = True) -> Reader:
        self.instance.set_unusable_password()
        reader: Reader = super().save(commit=commit)
        return reader


class ReaderForm(forms.ModelForm):
    """A reader, with the optional notices as boxes that are checked for those he or she gets.

    The boxes come with their state when the page was opened: who saves another field does not undo
    what the reader declined by a link meanwhile.
    """

    notices = forms.MultipleChoiceField(
        label=_("Notices"),
        required=False,
        choices=lambda: [(kind.value, kind.label) for kind in preferences.optional_kinds()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        show_hidden_initial=True,
        help_text=_(
            "What the reader is told of. Notices of overdue books, of holds that are ready and of "
            "payments are always sent."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "notices" in self.fields:
            self.initial["notices"] = preferences.accepted_kinds(self.instance)

    def save(self, commit: bool = True) -> Reader:
        if "notices" in self.changed_data:
            self.instance.declined_notices = preferences.all_but(self.cleaned_data["notices"])
        reader: Reader = super().save(commit=commit)
        return reader
