"""Backups: a copy of the whole database made while the library works, checked, and restored.

`making.make` and `restoring.restore` are what the commands call, `nightly` is the job. What differs
between databases is in `on_sqlite` and `on_postgresql`.
"""
