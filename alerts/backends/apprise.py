"""The services of the library Apprise, each by its URL: an optional extra.

It calls where the URL says, local networks included, without the webhooks' guard: list it in
ALERT_BACKENDS only where those who edit channels may do that.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backends.base import Backend, ChannelGoneError, Message, Receipt, TryLaterError
from alerts.backends.fields import SecretField
from alerts.backends.wire import within

SECONDS = 30.0
PACKAGE = "apprise"


class UnknownUrlError(ValueError):
    """No service of Apprise has URLs like this."""


class AppriseForm(forms.Form):
    url = SecretField(
        label=gettext_lazy("address"),
        required=True,
        max_length=2000,
        help_text=gettext_lazy("A URL of Apprise with its secrets, as ntfy://topic."),
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if Apprise().missing():
            return url
        try:
            _service(url)
        except UnknownUrlError:
            message = _("Apprise does not know this kind of URL.")
            raise forms.ValidationError(message) from None
        return url


class Apprise(Backend):
    name = "apprise"
    label = gettext_lazy("Apprise")
    form_class = AppriseForm

    def missing(self) -> list[str]:
        return [] if find_spec(PACKAGE) else [_("the package apprise")]

    def address(self, config: Mapping[str, Any], recipient: Any) -> str:
        """Return a word: the URL itself is a secret."""
        return self.name if config.get("url") else ""

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        if self.missing():
            raise ChannelGoneError(_("The package apprise is not installed."))
        try:
            is_taken = within(SECONDS, lambda: _notify(message, config["url"]))
        except TimeoutError:
            problem = _("The service did not answer within %(seconds)g seconds.")
            raise TryLaterError(problem % {"seconds": SECONDS}) from None
        except UnknownUrlError:
            raise ChannelGoneError(_("Apprise does not know this kind of URL.")) from None
        except Exception as problem:  # one of a hundred plug-ins
            said = _("The service did not take it (%(problem)s).")
            raise TryLaterError(said % {"problem": type(problem).__name__}) from None
        if not is_taken:
            raise TryLaterError(_("The service did not take it."))
        return Receipt(_("The service has taken it."))


def _service(url: str) -> Any:
    """Raises UnknownUrlError, which does not quote the URL."""
    import apprise  # noqa: PLC0415  # an optional extra

    service = apprise.Apprise.instantiate(url)
    if service is None:
        raise UnknownUrlError
    return service


def _notify(message: Message, url: str) -> bool:
    return bool(_service(url).notify(title=message.subject, body=message.text))
