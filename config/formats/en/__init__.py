"""English: the day before the month, as in the notices to readers."""
