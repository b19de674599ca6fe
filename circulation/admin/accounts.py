"""Who may change how people sign in, and what they may do."""

from typing import Any

from django import forms
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest

from circulation.models import Reader

RIGHTS = ("is_staff", "is_superuser", "groups")
# Whoever writes these can sign in as that person, or keep that person from signing in.
IDENTITY = ("email", "contact_email", "is_active")


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
