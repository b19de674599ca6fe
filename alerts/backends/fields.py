"""Form fields for the settings of channels."""

from typing import Any

from django import forms


class SecretField(forms.CharField):
    """Stored encrypted, and never shown again."""

    is_secret = True

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        options.setdefault("widget", forms.PasswordInput(attrs={"autocomplete": "new-password"}))
        super().__init__(**options)
