"""The forms of channels: what kind, then whom it tells of what, with the backend's own settings."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets
from unfold.forms import BaseDialogForm

from alerts import backends, secrets
from alerts.backends.base import Backend
from alerts.events import for_audience
from alerts.models import Channel, ChannelAudience

SETTINGS = "settings"
REMOVE = "-remove"
LOOKS: dict[type[forms.Widget], type[forms.Widget]] = {
    forms.TextInput: widgets.UnfoldAdminTextInputWidget,
    forms.URLInput: widgets.UnfoldAdminTextInputWidget,
    forms.EmailInput: widgets.UnfoldAdminEmailInputWidget,
    forms.NumberInput: widgets.UnfoldAdminIntegerFieldWidget,
    forms.PasswordInput: widgets.UnfoldAdminPasswordWidget,
    forms.Textarea: widgets.UnfoldAdminTextareaWidget,
    forms.Select: widgets.UnfoldAdminSelectWidget,
    forms.CheckboxInput: widgets.UnfoldBooleanSwitchWidget,
}


class Told(models.TextChoices):
    """Whom a new channel is for."""

    READERS = "READERS", gettext_lazy("Readers, each of their own loans, holds and payments")
    STAFF = "STAFF", gettext_lazy("The whole staff, of what happens in the library")
    ME = "ME", gettext_lazy("Only me, of what happens in the library")

    @property
    def audience(self) -> ChannelAudience:
        return ChannelAudience.READERS if self is Told.READERS else ChannelAudience.STAFF


class NewChannelForm(forms.Form):
    """The first step; those who may not change the library's channels make some for themselves."""

    backend = forms.ChoiceField(
        label=gettext_lazy("By what"), widget=widgets.UnfoldAdminRadioSelectWidget
    )
    told = forms.ChoiceField(
        label=gettext_lazy("Who is told"), widget=widgets.UnfoldAdminRadioSelectWidget
    )

    def __init__(self, data: Any = None, *, for_all: bool) -> None:
        super().__init__(data)
        self.fields["backend"].choices = backends.choices()  # type: ignore[attr-defined]
        told = Told.choices if for_all else [(Told.ME.value, Told.ME.label)]
        self.fields["told"].choices = told  # type: ignore[attr-defined]
        self.initial = {"backend": backends.choices()[0][0], "told": told[-1][0]}


class ChannelForm(forms.ModelForm):
    """The second step, and every later change.

    The backend's form checks its settings itself. The fields shown here are copies of its fields,
    of which the secret ones never hold what is stored.
    """

    start: Channel
    """The channel as it is before anything is entered."""
    backend: Backend

    class Meta:
        model = Channel
        fields = ("name", "owner")

    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("Tell of"),
        error_messages={"required": gettext_lazy("Choose at least one.")},
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["instance"] = kwargs.get("instance") or copy(self.start)
        super().__init__(*args, **kwargs)
        audience = ChannelAudience(self.instance.audience)
        self.fields["kinds"].choices = [  # type: ignore[attr-defined]
            (kind.value, kind.label) for kind in for_audience(audience.flag)
        ]
        if "owner" in self.fields:
            owner: Any = self.fields["owner"]
            owner.queryset = get_user_model().objects.filter(is_staff=True, is_active=True)
            owner.empty_label = _("the whole staff")
            owner.widget.can_view_related = False
        for name in self.backend.form_class.base_fields:
            if name in self.instance.config:
                self.initial[setting(name)] = self.instance.config[name]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        known = _stored_secrets(self.instance)
        form = self.backend.form_class(self._settings_with(known), prefix=SETTINGS)
        if not form.is_valid():
            for name, errors in form.errors.as_data().items():
                field = setting(name) if name in form.fields else None
                if field is None or field not in self.errors:
                    self.add_error(field, errors)
            return cleaned
        private = _secret_names(self.backend)
        self.instance.config = {
            name: value for name, value in form.cleaned_data.items() if name not in private
        }
        self.instance.sealed = secrets.seal(
            {name: value for name in private if (value := form.cleaned_data.get(name))}
        )
        return cleaned

    def _settings_with(self, known: Mapping[str, str]) -> Any:
        """Return what was sent, with the stored secrets where none was entered or removed."""
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        for name in _secret_names(self.backend):
            is_removed = self.cleaned_data.get(setting(name) + REMOVE, False)
            if not data.get(setting(name)) and not is_removed and name in known:
                data[setting(name)] = known[name]
        return data


def form_for(channel: Channel) -> type[ChannelForm]:
    """Return the form of a channel, with the settings of its backend."""
    backend = backends.called(channel.backend)
    known = _stored_secrets(channel)
    fields: dict[str, Any] = {"start": channel, "backend": backend}
    for name, original in backend.form_class().fields.items():
        fields[setting(name)] = original
        original.label = capfirst(original.label or name)
        _dress(original)
        if name not in _secret_names(backend):
            continue
        original.widget = widgets.UnfoldAdminPasswordToggleWidget(
            attrs={"autocomplete": "new-password"}
        )
        if name in known:
            is_needed, original.required = original.required, False
            kept = _("Set. Leave empty to keep it.")
            original.help_text = f"{kept} {original.help_text}"
            if not is_needed:
                fields[setting(name) + REMOVE] = forms.BooleanField(
                    label=_("Remove: %(secret)s") % {"secret": original.label},
                    required=False,
                    widget=widgets.UnfoldBooleanWidget,
                )
    return type("FormOfChannel", (ChannelForm,), fields)


def settings_fields(form_class: type[ChannelForm]) -> list[str]:
    return [name for name in form_class.base_fields if name.startswith(f"{SETTINGS}-")]


def setting(name: str) -> str:
    return f"{SETTINGS}-{name}"


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(
        label=gettext_lazy("Why"), max_length=250, widget=widgets.UnfoldAdminTextInputWidget
    )


def _secret_names(backend: Backend) -> set[str]:
    fields = backend.form_class.base_fields.items()
    return {name for name, field in fields if getattr(field, "is_secret", False)}


def _stored_secrets(channel: Channel) -> dict[str, Any]:
    """Return the secrets in clear, none where they cannot be read: they are to be entered again."""
    try:
        return secrets.unseal(channel.sealed)
    except secrets.UnreadableSecretError:
        return {}


def _dress(field: forms.Field) -> None:
    """Give a plain field of a backend the admin's looks."""
    look = LOOKS.get(type(field.widget))
    if look is None:
        return
    plain = field.widget
    field.widget = look(attrs=plain.attrs)
    field.widget.is_required = plain.is_required
    if isinstance(field, forms.ChoiceField):
        field.widget.choices = field.choices
    field.widget.attrs.update(field.widget_attrs(field.widget))
