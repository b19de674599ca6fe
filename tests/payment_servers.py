"""Fixtures: servers that payments are tested against, with the settings that lead to them."""

import sys
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests import scripted_stripe
from tests.emulators import checkout, running
from tests.scripted_stripe import ScriptedStripe


@pytest.fixture
def stripe_server(settings: Settings) -> Iterator[ScriptedStripe]:
    """A scripted Stripe that this process is set up for; others are by its `environment()`."""
    with ScriptedStripe() as server:
        settings.STRIPE_SECRET_KEY = scripted_stripe.SECRET_KEY
        settings.STRIPE_WEBHOOK_SECRET = [scripted_stripe.WEBHOOK_SECRET]
        settings.STRIPE_API_BASE = server.url
        yield server


@pytest.fixture
def emulated_stripe(settings: Settings) -> Iterator[checkout.EmulatedStripe]:
    """An independent emulator of Checkout with its page and its webhooks; mark tests `emulator`."""
    with checkout.EmulatedStripe() as server:
        settings.STRIPE_SECRET_KEY = checkout.SECRET_KEY
        settings.STRIPE_WEBHOOK_SECRET = [checkout.WEBHOOK_SECRET]
        settings.STRIPE_API_BASE = server.url
        yield server


@pytest.fixture
def localstripe(settings: Settings) -> Iterator[str]:
    """The address of an independent emulator of PaymentIntents and refunds; mark `emulator`."""
    with running([sys.executable, "-m", "tests.emulators.localstripe"]) as address:
        settings.STRIPE_SECRET_KEY = "sk_test_of_localstripe"
        settings.STRIPE_API_BASE = address
        yield address
