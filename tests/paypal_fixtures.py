"""A PayPal that the settings of a test point to."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.scripted_paypal import ScriptedPayPal


@pytest.fixture
def paypal_server(settings: Settings) -> Iterator[ScriptedPayPal]:
    with ScriptedPayPal() as server:
        for name, value in server.environment().items():
            setattr(settings, name, value)
        yield server
