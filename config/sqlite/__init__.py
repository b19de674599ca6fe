"""SQLite as Carrel uses it: many processes that write in turn."""
