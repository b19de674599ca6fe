"""Channels in the admin: setting one up, its secrets, trying it out, off and on, who may what."""

from collections.abc import Mapping
from typing import Any

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import Client
from django_q.models import OrmQ
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from alerts import channels, setup, trial
from alerts.admin.forms import setting
from alerts.backends.base import Backend, Message, Receipt, TryLaterError
from alerts.events import Audience, EventKind, for_audience
from alerts.fanout import fan_out
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event, Trial
from alerts.setup import install
from circulation.models import Reader
from config.apps import after_migrate
from tests.factories import make_member, make_reader, make_staff
from tests.office import act_on_page, as_superuser, page, said, signed_in

pytestmark = pytest.mark.django_db

PIGEON = "tests.test_admin_channels.Pigeon"
SECRET = "a-very-secret-ring"


class PigeonForm(forms.Form):
    loft = forms.CharField(help_text="where it flies to")
    fast = forms.BooleanField(required=False)
    ring = forms.CharField(required=False)
    ring.is_secret = True  # type: ignore[attr-defined]

    def clean_loft(self) -> str:
        if self.cleaned_data["loft"] == "the moon":
            raise ValidationError("No pigeon flies that far.")
        return str(self.cleaned_data["loft"])

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("fast") and not self.cleaned_data.get("ring"):
            raise ValidationError("Only a ringed pigeon is fast.")
        return self.cleaned_data


class Pigeon(Backend):
    """A backend of one's own, as anybody may write one."""

    name = "pigeon"
    label = "Pigeon"
    form_class = PigeonForm
    needs: list[str] = []
    sent: list[tuple[Message, str, dict[str, Any]]] = []
    raises: Exception | None = None

    def missing(self) -> list[str]:
        return self.needs

    def address(self, config: Mapping[str, Any], recipient: Reader | None) -> str:
        return recipient.notice_email if recipient else str(config.get("loft", ""))

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        if self.raises:
            raise self.raises
        self.sent.append((message, to, dict(config)))
        return Receipt("It has landed.")


@pytest.fixture(autouse=True)
def pigeon(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> type[Pigeon]:
    settings.ALERT_BACKENDS = [*settings.ALERT_BACKENDS, PIGEON]
    monkeypatch.setattr(Pigeon, "sent", [])
    monkeypatch.setattr(Pigeon, "needs", [])
    monkeypatch.setattr(Pigeon, "raises", None)
    return Pigeon


@pytest.fixture
def client() -> Client:
    return as_superuser()


def add(client: Client, *, told: str = "STAFF", **fields: Any) -> Any:
    data = {
        "name": "Post",
        "kinds": ["LOAN_CREATED", "JOB_FAILED"],
        setting("loft"): "Kraków",
        setting("ring"): SECRET,
        **fields,
    }
    return client.post(f"{page(Channel, 'add')}?backend=pigeon&told={told}", data)


def change(client: Client, channel: Channel, **fields: Any) -> Any:
    data = {"name": channel.name, "kinds": channel.kinds, setting("loft"): "Kraków", **fields}
    response = client.post(page(channel, "change"), data)
    channel.refresh_from_db()
    return response


def make_channel(**fields: Any) -> Channel:
    usual: dict[str, Any] = {
        "name": "Post",
        "backend": "pigeon",
        "audience": ChannelAudience.STAFF,
        "kinds": ["JOB_FAILED"],
        "config": {"loft": "Kraków"},
    }
    return Channel.objects.create(**{**usual, **fields})


def make_delivery(channel: Channel, **fields: Any) -> Delivery:
    number = Delivery.objects.count()
    event = Event.objects.create(kind="JOB_FAILED", subject="config.jobrun:1", key=f"{number}")
    return Delivery.objects.create(
        event=event, channel=channel, kind="JOB_FAILED", key=f"{number}", **fields
    )


def field_errors(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_the_first_step_asks_by_what_and_for_whom(client: Client) -> None:
    text = client.get(page(Channel, "add")).text
    for words in ("Pigeon", "Email", "Readers, each of their own loans", "Only me"):
        assert words in text


def test_the_first_step_names_what_is_missing_in_the_environment(
    client: Client, pigeon: type[Pigeon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pigeon, "needs", ["PIGEON_LOFT"])
    assert "PIGEON_LOFT" in client.get(page(Channel, "add")).text


def test_a_channel_is_added_by_its_backends_own_form(client: Client) -> None:
    response = add(client)
    channel = Channel.objects.get(name="Post")
    assert response.headers["Location"] == page(channel, "change")
    assert (channel.backend, channel.audience, channel.owner) == ("pigeon", "STAFF", None)
    assert channel.kinds == ["LOAN_CREATED", "JOB_FAILED"]
    assert channel.config == {"loft": "Kraków", "fast": False}
    assert channel.settings()["ring"] == SECRET


@pytest.mark.parametrize(("told", "flag"), [("READERS", Audience.READER), ("ME", Audience.STAFF)])
def test_only_kinds_that_the_audience_is_told_of_are_offered(
    client: Client, told: str, flag: Audience
) -> None:
    response = client.get(f"{page(Channel, 'add')}?backend=pigeon&told={told}")
    offered = [kind for kind, _label in response.context["adminform"].form.fields["kinds"].choices]
    assert offered == for_audience(flag)
    wrong = next(kind for kind in EventKind if kind not in offered)
    assert "kinds" in field_errors(add(client, told=told, kinds=[wrong]))


@pytest.mark.parametrize(
    ("entered", "where", "says"),
    [
        ({"kinds": []}, "kinds", "Choose at least one."),
        ({setting("loft"): ""}, setting("loft"), "required"),
        ({setting("loft"): "the moon"}, setting("loft"), "No pigeon flies that far."),
        ({setting("fast"): "on", setting("ring"): ""}, "__all__", "Only a ringed pigeon is fast."),
    ],
)
def test_what_the_backend_refuses_is_shown_where_it_was_entered(
    client: Client, entered: dict[str, Any], where: str, says: str
) -> None:
    errors = field_errors(add(client, **entered))
    assert list(errors) == [where]
    assert len(errors[where]) == 1
    assert says in errors[where][0]
    assert not Channel.objects.filter(name="Post").exists()


def test_a_secret_is_on_no_page_and_in_no_column_in_clear(client: Client) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    change(client, channel, name="Mail")
    for name in ("change", "history"):
        assert SECRET not in client.get(page(channel, name)).text
    for row in (*Channel.objects.values(), *Channel.history.values()):
        assert SECRET not in str(row)
    assert "sealed" not in Channel.history.values()[0]


def test_an_empty_secret_is_kept_and_another_takes_its_place(client: Client) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    change(client, channel, **{setting("fast"): "on"})
    assert channel.config["fast"] is True  # the backend's form has seen the stored ring
    assert channel.settings()["ring"] == SECRET
    change(client, channel, **{setting("ring"): "another"})
    assert channel.settings()["ring"] == "another"


def test_a_secret_is_removed_when_that_is_ticked(client: Client) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    assert "Set. Leave empty to keep it." in client.get(page(channel, "change")).text
    change(client, channel, **{setting("ring") + "-remove": "on"})
    assert "ring" not in channel.settings()
    assert "Set. Leave" not in client.get(page(channel, "change")).text


def test_a_refused_change_does_not_show_the_secret(client: Client) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    refused = change(client, channel, **{setting("loft"): "the moon"})
    assert "No pigeon flies that far." in refused.text
    assert SECRET not in refused.text


def test_secrets_that_cannot_be_read_any_more_are_to_be_entered_again(
    client: Client, settings: Settings
) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    settings.CHANNEL_SECRET_KEY = ["another key altogether"]
    assert "Enter them again." in client.get(page(channel, "change")).text
    assert "Enter them again." in said(act_on_page(client, "send_test", channel))
    change(client, channel, **{setting("ring"): "new"})
    assert channel.settings()["ring"] == "new"


def test_the_list_shows_what_waits_and_what_was_given_up(client: Client) -> None:
    channel = make_channel()
    make_delivery(channel)
    for _number in range(2):
        make_delivery(channel, status=DeliveryStatus.DEAD)
    (row,) = client.get(page(Channel, "changelist") + "?q=Post").context["cl"].result_list
    assert (row.waiting_count, row.dead_count) == (1, 2)


def test_the_list_shows_at_a_glance_whether_a_channel_works(
    client: Client, pigeon: type[Pigeon], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_channel()

    def shown() -> str:
        return str(client.get(page(Channel, "changelist") + "?q=Post").text)

    assert "Not used yet" in shown()
    channels.worked(channel, Receipt("It has landed."))
    assert "Works" in shown()
    channels.failed(channel, "A hawk.")
    assert "Problem" in shown()
    monkeypatch.setattr(pigeon, "needs", ["PIGEON_LOFT"])
    assert "Not set up" in shown()
    assert "set PIGEON_LOFT in the environment" in client.get(page(channel, "change")).text
    channel.refresh_from_db()
    channels.disable(channel, "The loft is gone.")
    assert "Switched off" in shown()
    assert "The loft is gone." in client.get(page(channel, "change")).text


def test_a_channel_is_switched_off_for_a_reason_and_used_again(client: Client) -> None:
    channel = make_channel()
    act_on_page(client, "switch_off", channel)
    channel.refresh_from_db()
    assert channel.is_active  # without a reason nothing is done
    act_on_page(client, "switch_off", channel, reason="Holidays")
    channel.refresh_from_db()
    assert (channel.is_active, channel.disabled_reason) == (False, "Holidays")
    act_on_page(client, "use_again", channel)
    channel.refresh_from_db()
    assert (channel.is_active, channel.disabled_reason) == (True, "")


def test_what_was_sent_keeps_its_channel(client: Client) -> None:
    used, unused = make_channel(), make_channel(name="Spare")
    make_delivery(used)
    refused = client.post(page(used, "delete"), {"confirmed": "yes"})
    assert "Switch it off instead." in said(refused)
    client.post(page(unused, "delete"), {"confirmed": "yes"})
    assert list(Channel.objects.filter(backend="pigeon")) == [used]


def test_a_channel_of_a_backend_that_is_listed_no_more_can_be_looked_at(
    client: Client, settings: Settings
) -> None:
    channel = make_channel()
    settings.ALERT_BACKENDS = settings.ALERT_BACKENDS[:-1]
    for name in ("changelist", "change"):
        assert (
            "Not set up"
            in client.get(page(Channel if name == "changelist" else channel, name)).text
        )
    assert "is not in ALERT_BACKENDS any more" in client.get(page(channel, "change")).text


def ask(client: Client, channel: Channel, on_commit: DjangoCaptureOnCommitCallbacks) -> Any:
    with on_commit(execute=True):
        return act_on_page(client, "send_test", channel)


def work() -> None:
    """Do what the worker would: each task as often as it is in the queue."""
    for waiting in OrmQ.objects.all():
        assert waiting.func() == trial.TASK
        trial.send(*waiting.task["args"])


def test_a_test_message_is_a_job_and_its_answer_is_shown(
    client: Client,
    pigeon: type[Pigeon],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    add(client)
    channel = Channel.objects.get(name="Post")
    asked = ask(client, channel, django_capture_on_commit_callbacks)
    assert "handed to a worker" in said(asked)
    assert not pigeon.sent
    assert "It waits for a worker." in client.get(page(channel, "change")).text
    poll = f"/admin/alerts/channel/{channel.pk}/test/"
    assert client.get(poll).json() == {"busy": True}

    work()

    assert client.get(poll).json() == {"busy": False}
    assert "It has landed." in client.get(page(channel, "change")).text
    ((message, to, config),) = pigeon.sent
    assert (to, config["ring"]) == ("Kraków", SECRET)
    assert (message.kind, message.notification_type) == ("test", "test")
    assert "Post" in message.subject
    channel.refresh_from_db()
    assert channel.last_ok_at is not None
    assert not Delivery.objects.exists()


def test_a_failed_test_is_told_in_words_and_not_tried_again(
    client: Client,
    pigeon: type[Pigeon],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    channel = make_channel()
    monkeypatch.setattr(pigeon, "raises", TryLaterError("A hawk was about."))
    ask(client, channel, django_capture_on_commit_callbacks)
    work()
    assert "A hawk was about." in client.get(page(channel, "change")).text
    assert "Problem" in client.get(page(channel, "change")).text
    monkeypatch.setattr(pigeon, "raises", None)
    work()  # a worker was killed, and its task comes again
    assert not pigeon.sent


def test_what_a_broken_backend_raises_is_not_repeated(
    client: Client,
    pigeon: type[Pigeon],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    channel = make_channel()
    monkeypatch.setattr(pigeon, "raises", RuntimeError(f"no ring {SECRET}"))
    ask(client, channel, django_capture_on_commit_callbacks)
    work()
    text = client.get(page(channel, "change")).text
    assert "The backend failed (RuntimeError)." in text
    assert SECRET not in text + caplog.text


def test_a_test_is_refused_where_nothing_could_be_sent(
    client: Client, pigeon: type[Pigeon], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = make_channel(name="Lost", config={})
    assert "There is no address" in said(act_on_page(client, "send_test", lost))
    monkeypatch.setattr(pigeon, "needs", ["PIGEON_LOFT"])
    refused = act_on_page(client, "send_test", make_channel())
    assert "Pigeon is not set up: set PIGEON_LOFT" in said(refused)
    assert not Trial.objects.exists()


def test_a_channel_for_readers_is_tried_on_who_asks(pigeon: type[Pigeon]) -> None:
    maria = make_reader("Maria", is_staff=True)
    asked = trial.ask(make_channel(audience=ChannelAudience.READERS), by=maria)
    trial.send(asked.pk)
    ((message, to, _config),) = pigeon.sent
    assert (to, message.recipient_id) == (maria.notice_email, maria.pk)


def test_a_test_that_waited_too_long_is_not_sent(pigeon: type[Pigeon]) -> None:
    asked = trial.ask(make_channel(), by=make_reader())
    Trial.objects.update(asked_at=asked.asked_at - 2 * trial.PATIENCE)
    trial.send(asked.pk)
    asked.refresh_from_db()
    assert not pigeon.sent
    assert "No worker came for it." in trial.in_words(asked)


def test_a_broker_that_is_away_is_told_of(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def refuse(*_arguments: object) -> None:
        raise ConnectionError("redis://:password@localhost")

    monkeypatch.setattr(trial, "async_task", refuse)
    channel = make_channel()
    ask(client, channel, django_capture_on_commit_callbacks)
    assert "the queue does not answer" in client.get(page(channel, "change")).text


@pytest.fixture
def ola(db: None) -> Reader:
    """May have channels of her own, and no more."""
    return make_staff("Ola", permissions=("alerts.add_channel",))


def test_a_member_of_staff_makes_and_changes_channels_of_her_own(ola: Reader) -> None:
    client = signed_in(ola)
    add(client, told="ME")
    channel = Channel.objects.get(name="Post")
    assert channel.owner == ola
    change(client, channel, name="Mine", owner="")
    assert (channel.name, channel.owner) == ("Mine", ola)
    act_on_page(client, "switch_off", channel, reason="Holidays")
    channel.refresh_from_db()
    assert not channel.is_active
    client.post(page(channel, "delete"), {"confirmed": "yes"})
    assert not Channel.objects.filter(pk=channel.pk).exists()


@pytest.mark.parametrize("told", ["STAFF", "READERS"])
def test_she_cannot_make_channels_for_others(ola: Reader, told: str) -> None:
    add(signed_in(ola), told=told)
    assert not Channel.objects.filter(name="Post").exists()


def test_she_neither_sees_nor_touches_those_of_others(ola: Reader) -> None:
    client = signed_in(ola)
    theirs = make_channel(owner=make_reader("Jan", is_staff=True))
    assert not client.get(page(Channel, "changelist")).context["cl"].result_list
    assert client.get(page(theirs, "change")).status_code == 302
    assert client.get(f"/admin/alerts/channel/{theirs.pk}/test/").status_code == 404
    for act in ("switch_off", "send_test"):
        assert act_on_page(client, act, theirs, reason="x").status_code == 404
    assert client.post(page(theirs, "delete"), {"confirmed": "yes"}).status_code == 404


def test_who_may_look_at_channels_may_not_touch_them() -> None:
    client, channel = signed_in(make_member("Auditor")), make_channel()
    assert "Kraków" not in client.get(page(channel, "change")).text
    assert change(client, channel, name="Mine").status_code == 403
    for act in ("switch_off", "send_test"):
        assert act_on_page(client, act, channel, reason="x").status_code == 403
    ola = make_staff("Ola", permissions=("alerts.add_channel", "alerts.view_channel"))
    refused = act_on_page(signed_in(ola), "send_test", channel)
    assert "only your own channels" in said(refused)


def test_where_a_channel_led_before_is_told_only_to_those_who_may_change_it() -> None:
    channel = make_channel()
    librarian, auditor = signed_in(make_member("Librarian")), signed_in(make_member("Auditor"))
    change(librarian, channel, **{setting("loft"): "Gdynia"})
    history = page(channel, "history")
    assert "Gdynia" in librarian.get(history).text
    seen = auditor.get(history).text
    assert "Settings" in seen
    assert "Gdynia" not in seen
    assert "Kraków" not in seen


def test_a_librarian_gives_a_channel_to_another(ola: Reader) -> None:
    client = signed_in(make_member("Librarian"))
    add(client, owner=ola.pk)
    assert Channel.objects.get(name="Post").owner == ola
    reader = make_reader("Reader")
    assert "owner" in field_errors(add(client, name="Other", owner=reader.pk))


@pytest.fixture
def first_channel(db: None, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """What every library starts with, made as `migrate` makes it."""
    monkeypatch.setattr(setup, "install", install)
    after_migrate(using="default")
    return Channel.objects.get()


def test_email_to_readers_is_there_from_the_start_and_says_that_no_mail_server_is(
    client: Client, first_channel: Channel
) -> None:
    assert (first_channel.name, first_channel.backend) == ("Email to readers", "email")
    assert first_channel.is_active
    assert first_channel.kinds == for_audience(Audience.READER)
    text = client.get(page(first_channel, "change")).text
    assert "Email is not set up: set EMAIL_URL" in text


def test_channels_of_the_environment_are_made_once(
    settings: Settings, first_channel: Channel
) -> None:
    assert install() == []
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_CHAT_ID = "1:a", "-5"
    settings.ALERT_WEBHOOK_URL = "https://notices.example.org/"
    telegram, webhook = install()
    assert (telegram.audience, telegram.kinds) == ("STAFF", list(setup.FOR_STAFF))
    assert (webhook.audience, webhook.kinds) == ("READERS", for_audience(Audience.READER))
    assert telegram.config == webhook.config == {}
    assert install() == []


def test_a_first_channel_that_was_renamed_or_deleted_does_not_come_back(
    first_channel: Channel,
) -> None:
    first_channel.name = "Letters"
    first_channel.save()
    assert install() == []
    first_channel.delete()
    assert install() == []
    assert not Channel.objects.exists()


def test_nothing_piles_up_for_a_channel_that_is_not_set_up(
    pigeon: type[Pigeon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pigeon, "needs", ["PIGEON_LOFT"])
    channel = make_channel()
    Event.objects.create(kind="JOB_FAILED", subject="config.jobrun:1", key="1")
    fan_out()
    row = channel.deliveries.get()
    assert row.status == DeliveryStatus.SKIPPED
    assert "set PIGEON_LOFT" in row.note
    assert row.finished_at is not None
