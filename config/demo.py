"""The environment of the demonstration site, which shares nothing with a real installation."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
DATABASE = BASE_DIR / "demo.sqlite3"


def use_demo_environment() -> None:
    """Point this process at the demo's own database and keys, whatever `.env` and the shell say.

    Must run before the settings are read. Variables of a real installation (mail, payment and
    chat credentials) are emptied, so that nothing the demo does can leave the machine.
    """
    for name in ("REDIS_URL", "EMAIL_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        CARREL_DEMO="1",
        DATABASE_URL=f"sqlite:///{DATABASE}",
        SECRET_KEY="demo-only-" + "not-a-secret-" * 4,
        DEBUG="false",
        ALLOWED_HOSTS="127.0.0.1,localhost",
        SECURE_SSL_REDIRECT="false",
        SITE_URL="http://127.0.0.1:8000",
    )
