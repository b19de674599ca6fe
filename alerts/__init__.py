"""Alerts: the outbox, channels and backends. Nothing else of Carrel may be imported from here."""
