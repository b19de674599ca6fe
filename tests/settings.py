"""The settings of tests and type checks: Carrel's own, whatever a developer's `.env` says."""

import os

# Child processes inherit these. DATABASE_URL is left alone: it chooses the database to test on.
os.environ.update(
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    BACKUP_DIR="",
    BACKUP_KEEP="14",
    BEHIND_PROXY="false",
    CORS_ALLOWED_ORIGINS="",
    CSRF_TRUSTED_ORIGINS="",
    CURRENCY="USD",
    DEBUG="false",
    EMAIL_URL=os.environ.get("CARREL_TEST_EMAIL_URL", ""),
    EMAIL_VERIFICATION="false",
    JWT_ACCESS_MINUTES="15",
    JWT_REFRESH_DAYS="7",
    JWT_SIGNING_KEY="",
    LANGUAGE_CODE="en",
    LIBRARY_NAME="Carrel",
    LOCKOUT_MINUTES="15",
    LOG_FORMAT="line",
    LOG_LEVEL="INFO",
    OIDC_AUDIENCE="",
    OIDC_CLIENT_ID="",
    OIDC_CLIENT_SECRET="",
    OIDC_CREATE_READERS="false",
    OIDC_HOSTS="",
    OIDC_ISSUER="",
    REDIS_URL=os.environ.get("CARREL_TEST_REDIS_URL", ""),
    SECRET_KEY="only-for-tests-" + "0123456789" * 4,
    SECURE_SSL_REDIRECT="false",
    SELF_REGISTRATION="true",
    SENTRY_DSN=os.environ.get("CARREL_TEST_SENTRY_DSN", ""),
    SITE_URL="http://testserver",
    TIME_ZONE="UTC",
    TRUSTED_PROXIES="",
)
os.environ.pop("PAYMENT_GATEWAYS", None)
if "RACE_DATABASE" not in os.environ:  # a process of a race is given the providers of its test
    os.environ.update(
        PAYMENT_PROVIDER="",
        PAYPAL_CLIENT_ID="",
        PAYPAL_CLIENT_SECRET="",
        PAYPAL_WEBHOOK_ID="",
        STRIPE_PUBLISHABLE_KEY="",
        STRIPE_SECRET_KEY="",
        STRIPE_WEBHOOK_SECRET="",
    )

from config.settings import *

# The threads of a live server close their connections, so that its database can be dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files come straight from their sources: there is no `collectstatic` before a test.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
