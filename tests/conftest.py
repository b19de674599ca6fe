"""What every test run needs: a database file per worker, and no silent skipping in CI."""

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connection

from tests import chromium, emulators, factories

pytest_plugins = (
    "tests.alert_servers",
    "tests.letters",
    "tests.issuer",
    "tests.brokers",
    "tests.figures",
    "tests.paying",
    "tests.payment_servers",
    "tests.paypal_fixtures",
    "tests.sinks",
    "tests.sites",
)

# A machine may be busy, and what is found by chance must be found again.
hypothesis.settings.register_profile("carrel", deadline=None, derandomize=True)
hypothesis.settings.load_profile("carrel")

# Playwright keeps an event loop running in the process; Django would refuse the ORM beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, or fail it where CARREL_REQUIRE_... asks for it."""
    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        _skip_or_fail("POSTGRES", "needs PostgreSQL: set DATABASE_URL=postgres://...")
    if item.get_closest_marker("browser") and not chromium.find_chromium():
        _skip_or_fail("BROWSER", f"needs one of {', '.join(chromium.NAMES)} on the PATH")
    if item.get_closest_marker("emulator") and (reason := emulators.missing()):
        _skip_or_fail("EMULATORS", reason)


def _skip_or_fail(what: str, reason: str) -> None:
    if os.environ.get(f"CARREL_REQUIRE_{what}"):
        pytest.fail(f"CARREL_REQUIRE_{what} is set, and this test {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Put SQLite's test database in a file: one in memory has no WAL and no second process."""
    if connection.vendor == "sqlite":
        folder = tmp_path_factory.mktemp("database")
        settings.DATABASES["default"]["TEST"]["NAME"] = str(folder / "carrel.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def no_first_channels() -> Iterator[None]:
    """Leave out the channels that a library starts with: tests make those that they need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alerts.setup.install", lambda **_options: [])
        yield


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Drive the system's Chromium, offline; its sandbox cannot start as root."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {
        **browser_type_launch_args,
        "executable_path": chromium.find_chromium(),
        "args": ["--disable-background-networking", "--disable-component-update", *sandbox],
    }


@pytest.fixture
def rule(db: None) -> factories.LoanPolicy:
    """The rule of the case files, and their closed Sundays."""
    factories.close_on(factories.Weekday.SUNDAY)
    return factories.set_policy()


@pytest.fixture
def anna(db: None) -> factories.Reader:
    return factories.make_reader("Anna")


@pytest.fixture
def bartek(db: None) -> factories.Reader:
    return factories.make_reader("Bartek")


@pytest.fixture
def celina(db: None) -> factories.Reader:
    return factories.make_reader("Celina")


@pytest.fixture
def maria(db: None) -> factories.Reader:
    """A librarian who may override blocks."""
    return factories.make_staff("Maria", permissions=("circulation.override_block",))
