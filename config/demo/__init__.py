"""The demonstration site, and its environment, which shares nothing with a real installation."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DATABASE = BASE_DIR / "demo.sqlite3"
# A real installation may set these; here they would reach its services, or make no sense.
NOT_IN_A_DEMO = (
    "REDIS_URL",
    "SENTRY_DSN",
    "BACKUP_DIR",
    "EMAIL_URL",
    "EMAIL_VERIFICATION",
    "TRUSTED_PROXIES",
    "CORS_ALLOWED_ORIGINS",
    "JWT_SIGNING_KEY",
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_CHAT_ID",
    "TELEGRAM_API_BASE",
    "ALERT_WEBHOOK_URL",
    "ALERT_WEBHOOK_TOKEN",
    "ALERT_ALLOWED_NETWORKS",
    "ALERT_BACKENDS",
    "ALERT_TEMPLATES",
    "CHANNEL_SECRET_KEY",
    "STAFF_ALERTS_NAME_READERS",
    "BEHIND_PROXY",
    "CSRF_TRUSTED_ORIGINS",
    "PAYMENT_PROVIDER",
    "PAYMENT_GATEWAYS",
    "STRIPE_SECRET_KEY",
    "STRIPE_PUBLISHABLE_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "PAYPAL_CLIENT_ID",
    "PAYPAL_CLIENT_SECRET",
    "PAYPAL_WEBHOOK_ID",
    "PAYPAL_API_BASE",
)


def use_demo_environment() -> None:
    """Point this process at the demo's own database and keys, whatever `.env` and the shell say.

    Must run before the settings are read. Variables of a real installation (mail, payment and
    chat credentials) are emptied, so that nothing the demo does can leave the machine.
    """
    for name in NOT_IN_A_DEMO:
        os.environ.pop(name, None)
    os.environ.update(
        DJANGO_SETTINGS_MODULE="config.settings",
        CARREL_DEMO="1",
        DATABASE_URL=f"sqlite:///{DATABASE}",
        SECRET_KEY="demo-only-" + "not-a-secret-" * 4,
        DEBUG="false",
        ALLOWED_HOSTS="127.0.0.1,localhost",
        SECURE_SSL_REDIRECT="false",
        SITE_URL="http://127.0.0.1:8000",
    )
