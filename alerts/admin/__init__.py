"""The admin pages of alerts: channels, what happened, and each telling of it."""

from alerts.admin import channels, deliveries, events

__all__ = ["channels", "deliveries", "events"]
