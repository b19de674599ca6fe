"""Channels: how each stands, setting one up, trying it out, switching it off and on."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from alerts import backends, setup, trial
from alerts.admin.deliveries import deliveries_table
from alerts.admin.forms import NewChannelForm, ReasonForm, Told, form_for, settings_fields
from alerts.admin.standing import counted, linked_count, missing_table, state_of
from alerts.backoffice.acts import ActRefusedError, act
from alerts.backoffice.deletion import DeletionAdmin
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import Table, badge, list_url, staff
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus

OWN = "alerts.add_channel"
ALL = "alerts.change_channel"


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin, DeletionAdmin):
    """Who may add channels makes some for himself; who may change them, for everybody."""

    list_display = ("name", "told_by", "told", "state", "last_ok_at", "waiting", "given_up")
    list_select_related = ("owner",)
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("told_by", "told", "state", "last_ok_at", "last_problem_at", "last_answer")
    actions_detail = ("send_test", "switch_off", "use_again")
    refusals = (trial.TrialRefusedError,)
    change_form_outer_before_template = "alerts/admin/trial.html"
    empty_list = gettext_lazy("Add a channel, by which people are told of what happens.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        found: QuerySet[Channel] = super().get_queryset(request)
        if not self._sees_all(request):
            found = found.filter(owner=staff(request))
        return found.annotate(
            waiting_count=counted(DeliveryStatus.QUEUED), dead_count=counted(DeliveryStatus.DEAD)
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.trial_view)
        return [path("<int:pk>/test/", view, name="alerts_channel_trial"), *super().get_urls()]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._sees_all(request) or request.user.has_perm(OWN)

    def has_view_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return self._sees_all(request) or self._may_own(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(OWN)

    def has_change_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return self._may_touch(request, obj) and (
            obj is None or obj.backend in backends.all_backends()
        )

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return super().has_delete_permission(request, obj) or self._may_own(request, obj)

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Acts ask for the right to change; on which channels, they see themselves."""
        return super().may(request, permission) or (permission == ALL and self.may(request, OWN))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask first by what and for whom: the form depends on it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewChannelForm(request.GET or None, for_all=request.user.has_perm(ALL))
        if form.is_valid():
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": _("New channel: by what, and for whom?"),
            "form": form,
            "method": "get",
            "submit_text": _("Go on"),
            "tables": [missing_table()],
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "office/form.html", context)

    def get_form(
        self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            kwargs["form"] = form_for(obj or self._new(request))
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        standing = (
            _("How it stands"),
            {"fields": (("state", "wrong"), ("last_ok_at", "last_problem_at"), "last_answer")},
        )
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ("name", ("told_by", "told"), "told_of")}), standing]
        channel = obj or self._new(request)
        who: tuple[Any, ...] = ("name", ("told_by", "told"))
        if channel.audience == ChannelAudience.STAFF and request.user.has_perm(ALL):
            who = (*who, "owner")
        found: list[Any] = [(None, {"fields": (*who, "kinds")})]
        if fields := settings_fields(form_for(channel)):
            found.append((_("Where to"), {"fields": fields}))
        return [*found, standing] if obj is not None else found

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        return (*self.readonly_fields, "told_of", "wrong")

    def response_post_save_add(self, request: HttpRequest, obj: Channel) -> HttpResponse:
        """Go to the new channel's page, where it can be tried out."""
        return HttpResponseRedirect(reverse("admin:alerts_channel_change", args=[obj.pk]))

    def set_history_delta_changes(
        self, request: HttpRequest, historical_records: Sequence[Any], *args: Any, **kwargs: Any
    ) -> None:
        """Say to who may not change channels that their settings changed, not to what."""
        super().set_history_delta_changes(request, historical_records, *args, **kwargs)
        if request.user.has_perm(ALL):
            return
        settings = capfirst(str(Channel._meta.get_field("config").verbose_name))
        for record in historical_records:
            for change in getattr(record, "history_delta_changes", []):
                if change["field"] == settings:
                    change.update(old="…", new="…")

    def delete_row(self, request: HttpRequest, row: Channel) -> None:
        if row.deliveries.exists():
            message = _("What was sent by “%(channel)s” is kept. Switch it off instead.")
            raise ActRefusedError(message % {"channel": row})
        super().delete_row(request, row)

    def fitting_acts(self, row: Channel) -> Iterable[str]:
        return ("send_test", "switch_off" if row.is_active else "use_again")

    @act(
        gettext_lazy("Send a test"),
        permission=ALL,
        question=gettext_lazy("One message goes out; this page shows what the far end says to it."),
        icon="send",
    )
    def send_test(self, request: HttpRequest, channel: Channel) -> str:
        self._refuse_others(request, channel)
        trial.ask(channel, by=staff(request))
        return _("The test was handed to a worker.")

    @act(
        gettext_lazy("Switch off"),
        permission=ALL,
        question=gettext_lazy("Nothing is sent by it until it is used again."),
        icon="notifications_off",
        form_class=ReasonForm,
    )
    def switch_off(self, request: HttpRequest, channel: Channel, *, reason: str) -> str:
        self._refuse_others(request, channel)
        channel.is_active, channel.disabled_reason = False, reason
        channel.save(update_fields=["is_active", "disabled_reason"])
        self.log_change(request, channel, _("Switched off: %(reason)s") % {"reason": reason})
        return _("Switched off.")

    @act(
        gettext_lazy("Use again"),
        permission=ALL,
        question=gettext_lazy("What waits for this channel is sent at once, and all that follows."),
        icon="notifications_active",
    )
    def use_again(self, request: HttpRequest, channel: Channel) -> str:
        self._refuse_others(request, channel)
        channel.is_active, channel.disabled_reason = True, ""
        channel.save(update_fields=["is_active", "disabled_reason"])
        self.log_change(request, channel, _("Used again."))
        return _("It is used again. Send a test to see whether it works.")

    def trial_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """Tell whether the test is still under way."""
        channel = self.get_object(request, str(pk))
        if channel is None:
            raise Http404
        latest = channel.trials.first()
        return JsonResponse({"busy": latest is not None and trial.is_under_way(latest)})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        channel: Channel | None = kwargs.get("obj")
        latest = channel.trials.select_related("by").first() if channel is not None else None
        if latest is not None:
            context["trial"] = latest
            context["trial_says"] = trial.in_words(latest)
            context["trial_is_under_way"] = trial.is_under_way(latest)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_tables(self, request: HttpRequest, obj: Channel) -> Iterable[Table]:
        yield deliveries_table(
            request,
            Delivery.objects.filter(channel=obj),
            title=_("Latest messages"),
            more_url=list_url(Delivery, channel__id__exact=obj.pk),
        )

    @display(description=gettext_lazy("by"), ordering="backend")
    def told_by(self, channel: Channel) -> str:
        return str(dict(backends.choices()).get(channel.backend, channel.backend))

    @display(description=gettext_lazy("for"), ordering="audience")
    def told(self, channel: Channel) -> str:
        return str(channel.owner or channel.get_audience_display())

    @display(description=gettext_lazy("tells of"))
    def told_of(self, channel: Channel) -> str:
        names = dict(Delivery._meta.get_field("kind").flatchoices)
        return ", ".join(str(names.get(kind, kind)) for kind in channel.kinds) or "–"

    @display(description=gettext_lazy("state"))
    def state(self, channel: Channel) -> SafeString:
        return badge(*state_of(channel))

    @display(description=gettext_lazy("what is wrong"))
    def wrong(self, channel: Channel) -> str:
        why = (channel.disabled_reason, setup.what_is_wrong(channel))
        return " ".join(filter(None, why)) or "–"

    @display(description=gettext_lazy("waiting"), ordering="waiting_count")
    def waiting(self, channel: Any) -> str | SafeString:
        return linked_count(channel, channel.waiting_count, DeliveryStatus.QUEUED)

    @display(description=gettext_lazy("given up"), ordering="dead_count")
    def given_up(self, channel: Any) -> str | SafeString:
        return linked_count(channel, channel.dead_count, DeliveryStatus.DEAD)

    def _sees_all(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.view_channel") or request.user.has_perm(ALL)

    def _may_own(self, request: HttpRequest, channel: Channel | None) -> bool:
        is_own = channel is None or channel.owner_id == request.user.pk
        return is_own and request.user.has_perm(OWN)

    def _may_touch(self, request: HttpRequest, channel: Channel | None) -> bool:
        return request.user.has_perm(ALL) or self._may_own(request, channel)

    def _refuse_others(self, request: HttpRequest, channel: Channel) -> None:
        if not self._may_touch(request, channel):
            raise ActRefusedError(_("You may change only your own channels."))

    def _new(self, request: HttpRequest) -> Channel:
        """Return the channel that the first step asked for."""
        told = Told(request.GET["told"])
        return Channel(
            backend=request.GET["backend"],
            audience=told.audience,
            owner=staff(request) if told is Told.ME else None,
        )
