"""How the admin looks and what its sidebar offers."""

from typing import Any

SETTINGS: dict[str, Any] = {"SITE_TITLE": "Carrel", "SITE_HEADER": "Carrel"}
