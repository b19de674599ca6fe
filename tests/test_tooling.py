"""The files around the code agree with it: the locks and `.env.sample`."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from alerts.events import KINDS
from config.demo import NOT_IN_A_DEMO
from config.roles import ROLES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-scale.txt": PROJECT["dependencies"] + EXTRAS["scale"],
    "requirements-dev.txt": PROJECT["dependencies"] + EXTRAS["scale"] + EXTRAS["dev"],
}


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package in a lock file."""
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_pins_every_dependency_within_its_bounds(lock: str) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, LOCKED[lock]):
        if requirement.name != "carrel":
            assert pinned[requirement.name] in requirement.specifier, requirement


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_names_no_host(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text()


def test_what_is_tested_is_what_is_deployed() -> None:
    tested = pins("requirements-dev.txt")
    deployed = pins("requirements.txt") | pins("requirements-scale.txt")
    assert {name: tested.get(name) for name in deployed} == deployed


def test_the_sample_environment_explains_every_variable_that_is_read() -> None:
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'\benv(?:iron\.get|\.[a-z_]+)\(\s*"([A-Z_]+)"', settings))
    read |= set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    read |= {"PORT", "WEB_CONCURRENCY"}  # gunicorn's
    sample = (ROOT / ".env.sample").read_text()
    explained = set(re.findall(r"^#?([A-Z_]+)=", sample, re.MULTILINE))
    assert explained == read - {"CARREL_DEMO"}


def test_the_readme_names_every_role_and_every_word_of_the_webhook() -> None:
    readme = (ROOT / "README.md").read_text()
    assert re.findall(r"^\| (\w+) \| (?:[a-z ]+[:,]|see)", readme, re.MULTILINE) == list(ROLES)
    for about in KINDS.values():
        assert f"`{about.notification_type}`" in readme


def test_a_demo_takes_nothing_over_that_leads_to_somebody() -> None:
    sample = (ROOT / ".env.sample").read_text()
    outside = r"^#?((?:ALERT|CHANNEL|EMAIL|PAYMENT|PAYPAL|REDIS|STAFF_ALERTS|STRIPE|TELEGRAM)_\w+)="
    assert set(re.findall(outside, sample, re.MULTILINE)) <= set(NOT_IN_A_DEMO)
