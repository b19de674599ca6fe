"""What `manage.py check` says about the currency and the providers of a library."""

import pytest
from pytest_django import Settings

from billing import gateways
from billing.checks import check_money

KEYS = {"STRIPE_SECRET_KEY": "sk_live_51", "STRIPE_WEBHOOK_SECRET": ["whsec_1"]}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        (KEYS, []),
        ({"CURRENCY": "EUR"}, []),
        ({"CURRENCY": "euro"}, ["billing.E030"]),
        ({"CURRENCY": "JPY"}, ["billing.W030"]),
        ({"PAYMENT_PROVIDER": "CHEQUE"}, ["billing.E031"]),
        ({"PAYMENT_PROVIDER": "CASH"}, ["billing.E031"]),
        ({"PAYMENT_PROVIDER": "STRIPE"}, ["billing.E032"]),
        ({**KEYS, "PAYMENT_PROVIDER": "STRIPE"}, []),
        ({**KEYS, "STRIPE_WEBHOOK_SECRET": []}, ["billing.E003"]),
        ({**KEYS, "DEBUG": True}, ["billing.E002"]),
        ({"PAYPAL_CLIENT_ID": "half"}, ["billing.E011"]),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_with_what_to_do(
    settings: Settings, changed: dict[str, object], found: list[str]
) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    told = check_money()
    assert [message.id for message in told] == found
    assert all(message.hint for message in told)


def test_readers_are_sent_to_the_provider_that_is_set_up(settings: Settings) -> None:
    assert gateways.online() is None
    settings.PAYPAL_CLIENT_ID = settings.PAYPAL_CLIENT_SECRET = "x"
    assert gateways.online().name == "PAYPAL"
    settings.STRIPE_SECRET_KEY = "sk_test_1"
    assert gateways.online().name == "STRIPE"
    settings.PAYMENT_PROVIDER = "PAYPAL"
    assert gateways.online().name == "PAYPAL"


def test_a_gateway_that_cannot_be_imported_is_named(settings: Settings) -> None:
    settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash", "our.own.Gateway"]
    with pytest.raises(Exception, match=r"PAYMENT_GATEWAYS names our\.own\.Gateway"):
        gateways.all_gateways()
