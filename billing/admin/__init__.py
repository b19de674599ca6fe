"""The admin pages of money: charges, payments, refunds, and what providers sent."""

from billing.admin import allocations, charges, events, payments, refunds

__all__ = ["allocations", "charges", "events", "payments", "refunds"]
