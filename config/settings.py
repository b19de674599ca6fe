"""Carrel's settings, read from the environment and, where present, from `.env`.

`.env.sample` explains every variable. With SECRET_KEY and ALLOWED_HOSTS alone the site runs on
SQLite, with the database as job queue.
"""

import hmac
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config import logs, unfold, variables

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
DEMO = env.bool("CARREL_DEMO", default=False)
if not DEMO:
    env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])

MIN_SECRET_LENGTH = 50
HOW_TO_MAKE_A_KEY = (
    "Make one with\n    python3 -c 'import secrets; print(secrets.token_urlsafe(50))'\n"
    "and set it as SECRET_KEY in the environment or in the file .env (see .env.sample)."
)


def refuse_weak_settings() -> None:
    """Raise ImproperlyConfigured, in words an administrator can act on, unless DEBUG is on."""
    if not SECRET_KEY:
        raise ImproperlyConfigured(f"SECRET_KEY is not set. {HOW_TO_MAKE_A_KEY}")
    weak = len(SECRET_KEY) < MIN_SECRET_LENGTH or len(set(SECRET_KEY)) < 5
    if weak or SECRET_KEY.startswith("django-insecure-") or "change-me" in SECRET_KEY.lower():
        raise ImproperlyConfigured(
            f"SECRET_KEY is too easy to guess: it needs {MIN_SECRET_LENGTH} random characters. "
            + HOW_TO_MAKE_A_KEY
        )
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS must name the host names of this site, separated by commas, for "
            "example ALLOWED_HOSTS=library.example.org,localhost (not *)."
        )


if not DEBUG:
    refuse_weak_settings()
elif not SECRET_KEY:
    SECRET_KEY = "debug-only-" + "not-a-secret-" * 4

INSTALLED_APPS = [
    "config.apps.CarrelConfig",
    "config.apps.BackOfficeConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "import_export",
    "simple_history",
    "django_q",
    "axes",
    "corsheaders",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "alerts.apps.AlertsConfig",
    "catalog.apps.CatalogConfig",
    "billing.apps.BillingConfig",
    "circulation.apps.CirculationConfig",
]

MIDDLEWARE = [
    "config.probes.Probes",
    "config.request_log.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "config.error_pages.explain_wrong_methods",
]
CSRF_FAILURE_VIEW = "config.error_pages.forged"

# A library's own texts of notices come before ours.
ALERT_TEMPLATES = env.str("ALERT_TEMPLATES", default="")
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [*filter(None, [ALERT_TEMPLATES]), BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Measured: without these, eight writers on SQLite get "database is locked". synchronous=FULL,
# because a fine paid in cash must survive a power cut.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA mmap_size=268435456;"
        "PRAGMA cache_size=-64000;PRAGMA temp_store=MEMORY;"
    ),
}
# Statements that come again are planned once: half of the server's time for a page of the API.
# Compiling one took half a second for a page that reads few rows of a million. A pooler, for which
# nothing is prepared, may take no options.
# Without limits, who asks a server that is gone waits for minutes.
DATABASE_PREPARES = env.bool("DATABASE_PREPARES", default=True)
POSTGRESQL_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 30_000,
    "server_side_binding": True,
    "prepare_threshold": 5 if DATABASE_PREPARES else None,
    **({"options": "-c jit=off"} if DATABASE_PREPARES else {}),
}
with variables.read("DATABASE_URL", variables.DATABASE):
    DATABASES = {
        "default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'carrel.sqlite3'}")
    }
variables.refuse_no_engine(DATABASES["default"])
DATABASES["default"]["CONN_MAX_AGE"] = 60
# After a restart of PostgreSQL the first request of each process would fail.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["ENGINE"] = "config.sqlite"
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    given = DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = {**POSTGRESQL_OPTIONS, **given}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
variables.refuse_no_redis(REDIS_URL)
CACHES = {
    "default": (
        {
            "BACKEND": "config.shared_cache.Redis",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "carrel_cache"}
    )
}

# A broker that does not answer must not hold up who lends a book. Workers ask it for a second at a
# time, so it has to be more than that.
PATIENCE = "socket_connect_timeout=2&socket_timeout=3"
# `retry` exceeds queue_limit x the longest task / workers + timeout, or a prefetched task would run
# twice. (Two tasks a day, the fines and the backup, may take 840 s each, at hours of their own,
# while the other worker goes on.) The database as queue loses nothing when a worker is killed.
# Redis loses what that worker held: nothing may be known to the queue alone, and what is waiting is
# looked for every minute.
Q_CLUSTER: dict[str, Any] = {
    "name": "carrel",
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 300,
    "retry": 1200,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,
}
if REDIS_URL:
    Q_CLUSTER["redis"] = f"{REDIS_URL}{'&' if '?' in REDIS_URL else '?'}{PATIENCE}"
else:
    Q_CLUSTER["orm"] = "default"

AUTH_USER_MODEL = "circulation.Reader"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# Sign-in through an OpenID Connect provider: of callers of the API, and of staff to the admin.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_HOSTS = env.list("OIDC_HOSTS", default=[])
OIDC_AUDIENCE = env.str("OIDC_AUDIENCE", default="")
OIDC_CREATE_READERS = env.bool("OIDC_CREATE_READERS", default=False)
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
variables.refuse_no_language(LANGUAGE_CODE)
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
variables.refuse_no_zone(TIME_ZONE)
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["config.formats"]
CURRENCY = env.str("CURRENCY", default="USD")
LIBRARY_NAME = env.str("LIBRARY_NAME", default="Carrel")

SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=SITE_URL.startswith("https://"))
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SSL_REDIRECT
SECURE_HSTS_PRELOAD = SECURE_SSL_REDIRECT
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT
X_FRAME_OPTIONS = "DENY"
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
# Before `collectstatic` has run, the files are served from where they are.
WHITENOISE_USE_FINDERS = not STATIC_ROOT.exists()

BACKUP_DIR = env.str("BACKUP_DIR", default="")
try:
    BACKUP_KEEP = env.int("BACKUP_KEEP", default=14)
except ValueError as wrong:
    raise ImproperlyConfigured(f"BACKUP_KEEP has to be a whole number: {wrong}.") from wrong

IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "import"
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"
IMPORT_EXPORT_SKIP_ADMIN_LOG = True
SIMPLE_HISTORY_REVERT_DISABLED = True
IMPORT_KINDS = {
    "books": "catalog.imports.books.BOOKS",
    "copies": "catalog.imports.copies.COPIES",
    "readers": "circulation.imports.readers.READERS",
    "loans": "circulation.imports.loans.LOANS",
    "charges": "circulation.imports.charges.CHARGES",
}
EXPORT_KINDS = {**IMPORT_KINDS, "payments": "circulation.exports.PAYMENTS"}

MAIL_IS_SET_UP = bool(env.str("EMAIL_URL", default=""))
if MAIL_IS_SET_UP:
    with variables.read("EMAIL_URL", "smtp+tls://user:password@mail.example.org:587"):
        vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="carrel@localhost")

ALERT_BACKENDS = env.list(
    "ALERT_BACKENDS",
    default=[
        "alerts.backends.email.Email",
        "alerts.backends.telegram.Telegram",
        "alerts.backends.webhook.Webhook",
        "alerts.backends.console.Console",
    ],
)
ALERT_DELIVERY_TASK = "circulation.tasks.deliver_alerts"
ALERT_ALLOWED_NETWORKS = env.list("ALERT_ALLOWED_NETWORKS", default=[])
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_TOKEN = env.str("ALERT_WEBHOOK_TOKEN", default="")
TELEGRAM_BOT_TOKEN = env.str("TELEGRAM_BOT_TOKEN", default="")
TELEGRAM_CHAT_ID = env.str("TELEGRAM_CHAT_ID", default="")
TELEGRAM_API_BASE = env.str("TELEGRAM_API_BASE", default="https://api.telegram.org").rstrip("/")
CHANNEL_SECRET_KEY = env.list("CHANNEL_SECRET_KEY", default=[])
STAFF_ALERTS_NAME_READERS = env.bool("STAFF_ALERTS_NAME_READERS", default=False)

READER_SELF_SERVICE = frozenset(env.list("READER_SELF_SERVICE", default=[]))
REST_FRAMEWORK: dict[str, Any] = {
    # Each leaves tokens of other kinds to those after it; the last one answers for the rest.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.rest.keys.IntegrationKeys",
        "config.rest.oidc.ProviderTokens",
        "config.rest.bearer.AccessTokens",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.rest.access.AccessTable"],
    "DEFAULT_THROTTLE_CLASSES": ["config.rest.throttles.ByAddress"],
    # Of one address, behind which may be a whole school.
    "DEFAULT_THROTTLE_RATES": {
        "register": "60/hour",
        "token": "60/min",
        "refresh": "120/min",
        "verify": "120/min",
        "password": "20/hour",
        "reset": "20/hour",
        "reset_confirm": "60/hour",
    },
    "DEFAULT_PAGINATION_CLASS": "config.rest.paging.Pages",
    "DEFAULT_PARSER_CLASSES": ["config.rest.formats.JSONBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.rest.formats.OnlyJSON",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "config.rest.schema.Described",
    "EXCEPTION_HANDLER": "config.rest.problems.answer",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# false: its description, Swagger UI and Redoc are not there.
API_SCHEMA_PUBLIC = env.bool("API_SCHEMA_PUBLIC", default=True)
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Carrel",
    "DESCRIPTION": (
        "The REST API of a lending library: its catalogue, what readers borrow, wait for and pay. "
        "Sign in at `users/token/` and send the access token as `Authorization: Bearer`; other "
        "systems send an integration key likewise. Every address answers without its trailing "
        "slash, too. Errors are problem details (RFC 9457)."
    ),
    "VERSION": "1.0.0",
    "SCHEMA_PATH_PREFIX": "/api/",
    "TAGS": [
        {"name": "users", "description": "Accounts, signing in, and one's own profile."},
        {"name": "books", "description": "The catalogue, and how many copies are available."},
        {"name": "borrowings", "description": "What is and was lent, and to whom."},
        {"name": "holds", "description": "Who waits for a book."},
        {"name": "payments", "description": "What was paid, or waits to be."},
        {"name": "loans", "description": "For systems that send the library's notices."},
    ],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_SUFFIX": "",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "AllocationState": "billing.settlements.AllocationState",
        "ChargeKind": "billing.models.ChargeKind",
        "CopyStatus": "catalog.models.CopyStatus",
        "Cover": "catalog.models.Cover",
        "HoldStatus": "circulation.models.HoldStatus",
        "PaymentStatus": "billing.settlements.PaymentStatus",
    },
    "PREPROCESSING_HOOKS": ["config.rest.schema.only_canonical"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.rest.schema_pages.with_payment_pages",
    ],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token from `users/token/`, or an integration key.",
            }
        }
    },
    # There is a test for it; nobody who deploys has to wait for it.
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Else it sends the address of the schema to another host, to have it validated.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}

PAYMENT_GATEWAYS = env.list(
    "PAYMENT_GATEWAYS",
    default=[
        "billing.gateways.cash.Cash",
        "billing.gateways.stripe.Stripe",
        "billing.gateways.paypal.PayPal",
    ],
)
PAYMENT_PROVIDER = env.str("PAYMENT_PROVIDER", default="").upper()
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.list("STRIPE_WEBHOOK_SECRET", default=[])
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="https://api.stripe.com").rstrip("/")
PAYPAL_CLIENT_ID = env.str("PAYPAL_CLIENT_ID", default="")
PAYPAL_CLIENT_SECRET = env.str("PAYPAL_CLIENT_SECRET", default="")
PAYPAL_WEBHOOK_ID = env.str("PAYPAL_WEBHOOK_ID", default="")
PAYPAL_API_BASE = env.str("PAYPAL_API_BASE", default="https://api-m.paypal.com").rstrip("/")

try:
    LOGGING = logs.configuration(
        level=env.str("LOG_LEVEL", default="INFO").upper(),
        form=env.str("LOG_FORMAT", default="line"),
    )
except ValueError as wrong:
    raise ImproperlyConfigured(str(wrong)) from wrong
SENTRY_DSN = env.str("SENTRY_DSN", default="")

SELF_REGISTRATION = env.bool("SELF_REGISTRATION", default=True)
EMAIL_VERIFICATION = env.bool("EMAIL_VERIFICATION", default=False)
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_EXPOSE_HEADERS = ["ETag", "Retry-After", "WWW-Authenticate"]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "circulation.sign_in.ReaderBackend",
]
if OIDC_ISSUER and OIDC_CLIENT_ID and OIDC_CLIENT_SECRET:
    AUTHENTICATION_BACKENDS.append("config.oidc.sign_in.ProviderBackend")
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60
try:
    JWT_ACCESS_MINUTES = env.int("JWT_ACCESS_MINUTES", default=15)
    JWT_REFRESH_DAYS = env.int("JWT_REFRESH_DAYS", default=7)
    LOCKOUT_MINUTES = env.int("LOCKOUT_MINUTES", default=15)
    AXES_COOLOFF_TIME = timedelta(minutes=LOCKOUT_MINUTES)
    SIMPLE_JWT: dict[str, Any] = {
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=JWT_ACCESS_MINUTES),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=JWT_REFRESH_DAYS),
        "SIGNING_KEY": env.str("JWT_SIGNING_KEY", default="")
        or hmac.new(SECRET_KEY.encode(), b"carrel.jwt", "sha256").hexdigest(),
        "CHECK_REVOKE_TOKEN": True,
    }
except (ValueError, OverflowError) as wrong:
    raise ImproperlyConfigured(
        "JWT_ACCESS_MINUTES, JWT_REFRESH_DAYS and LOCKOUT_MINUTES have to be whole numbers "
        f"that make sense: {wrong}."
    ) from wrong

AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# Who tries again and again waits as long as was said, and no longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "circulation.sign_in.account"
AXES_WHITELIST_CALLABLE = "circulation.sign_in.names_nobody"
AXES_CLIENT_IP_CALLABLE = "config.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "config.lockout.answer"
# People type passwords where the email belongs.
AXES_SENSITIVE_PARAMETERS = ["username"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

UNFOLD = unfold.SETTINGS
