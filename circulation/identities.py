"""Which account a person has whom an OpenID Connect provider vouches for."""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from simple_history.models import HistoricalRecords

from circulation.readers import Reader

LONGEST_SUBJECT = 255
LONGEST_NAME = 150
LENGTH_VALIDATOR = MaxLengthValidator(254)
"""Of an email address; Django's other check lets a few more characters pass."""


class ExternalIdentity(models.Model):
    """A provider's account that signs in to one of ours, found by email once and kept since.

    Later, only issuer and subject count: an address can be given to somebody else, they cannot.
    """

    reader = models.ForeignKey(
        Reader,
        models.CASCADE,
        related_name="external_identities",
        verbose_name=gettext_lazy("reader"),
    )
    issuer = models.CharField(gettext_lazy("provider"), max_length=255)
    subject = models.CharField(gettext_lazy("account there"), max_length=LONGEST_SUBJECT)
    email = models.EmailField(gettext_lazy("email when it was linked"))
    linked_at = models.DateTimeField(gettext_lazy("linked"), db_default=Now(), editable=False)

    history = HistoricalRecords()
    _history_user: Reader | None

    class Meta:
        verbose_name = gettext_lazy("external sign-in")
        verbose_name_plural = gettext_lazy("external sign-ins")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("issuer", "subject"), name="external_identity_has_one_reader"
            ),
            models.UniqueConstraint(
                fields=("reader", "issuer"), name="external_identity_one_per_provider"
            ),
        )

    def __str__(self) -> str:
        return f"{self.reader} ({self.issuer})"


@dataclass(frozen=True)
class Person:
    """What a provider says, after its signature was checked; nothing else of it was."""

    issuer: str
    subject: object
    email: object = ""
    is_email_verified: bool = False
    first_name: object = ""
    last_name: object = ""


class SignInRefusedError(Exception):
    """Nobody is signed in; the message says why and whom to ask."""


def reader_for(person: Person, *, may_create: bool) -> Reader:
    """Return the account of a person, linked to it now if it was not. Raises SignInRefusedError."""
    subject = _subject(person)
    reader = _linked(person.issuer, subject)
    if reader is None:
        try:
            reader = _link(person, subject, may_create=may_create)
        except IntegrityError:
            # Two first requests at once: the other one has linked or created the account.
            reader = _linked(person.issuer, subject) or _link(person, subject, may_create=False)
    if not reader.is_active:
        raise SignInRefusedError(_("This account is switched off. Ask the library."))
    return reader


def _linked(issuer: str, subject: str) -> Reader | None:
    found = ExternalIdentity.objects.select_related("reader")
    identity = found.filter(issuer=issuer, subject=subject).first()
    return identity.reader if identity else None


@transaction.atomic
def _link(person: Person, subject: str, *, may_create: bool) -> Reader:
    email = _verified_email(person)
    reader = Reader.objects.select_for_update(no_key=True).filter(email=email).first()
    if reader is None:
        reader = _create(person, email, may_create=may_create)
    known = reader.external_identities.filter(issuer=person.issuer).first()
    if known is not None and known.subject != subject:
        raise SignInRefusedError(
            _(
                "The account with your email address belongs to another account of your sign-in "
                "provider. Ask the library."
            )
        )
    if known is None and reader.is_active:
        _prove_email(reader)
        identity = ExternalIdentity(
            reader=reader, issuer=person.issuer, subject=subject, email=email
        )
        identity._history_user = reader
        identity.save()
    return reader


def _create(person: Person, email: str, *, may_create: bool) -> Reader:
    if not may_create:
        raise SignInRefusedError(
            _("The library has no account for %(email)s. Ask the library.") % {"email": email}
        )
    return Reader.objects.create_user(
        email, first_name=_name(person.first_name), last_name=_name(person.last_name)
    )


def _prove_email(reader: Reader) -> None:
    """Shut out whoever registered with somebody else's address and waits for its owner.

    Whoever did so in good faith sets a new password by mail.
    """
    if reader.is_email_verified:
        return
    reader.is_email_verified = True
    reader.set_unusable_password()
    reader._history_user = reader
    reader._change_reason = _("The sign-in provider confirmed the email; the password is void.")
    reader.save(update_fields=["is_email_verified", "password"])


def _subject(person: Person) -> str:
    """Return the account's name at the provider; OpenID Connect allows 255 ASCII characters."""
    subject = person.subject
    if not (isinstance(subject, str) and subject.isascii() and subject.isprintable()):
        raise SignInRefusedError(_("The sign-in provider names no account."))
    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise SignInRefusedError(_("The sign-in provider names no account."))
    return subject


def _verified_email(person: Person) -> str:
    email = person.email.strip().lower() if isinstance(person.email, str) else ""
    try:
        validate_email(email)
        LENGTH_VALIDATOR(email)
    except ValidationError:
        raise SignInRefusedError(
            _("The sign-in provider tells no email address of yours, and the library needs one.")
        ) from None
    if not person.is_email_verified:
        raise SignInRefusedError(
            _("Your email address is not verified at the sign-in provider. Verify it there first.")
        )
    return email


def _name(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(each for each in text if each.isprintable()).strip()[:LONGEST_NAME]
