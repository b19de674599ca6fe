"""What of the API is no REST view: the return from a provider, and its webhook."""

from typing import Any

from django.utils.translation import gettext as _

from config.rest.problems import MEDIA_TYPE

Schema = dict[str, Any]
PAGE = {"text/html": {"schema": {"type": "string"}}}
DETAIL = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"detail": {"type": "string"}},
            "required": ["detail"],
        }
    }
}
PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RECEIVED = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"received": {"type": "string"}},
            "required": ["received"],
        }
    }
}


def with_payment_pages(result: Schema, **_more: Any) -> Schema:
    """Describe, after spectacular has described the views, the pages of billing.pages."""
    result["paths"] = dict(sorted({**result["paths"], **_paths()}.items()))
    return result


def _paths() -> Schema:
    return {
        "/api/payments/success/": {"get": _success()},
        "/api/payments/cancel/": {"get": _cancel()},
        "/api/payments/webhook/{provider}/": {"post": _webhook()},
    }


def _success() -> Schema:
    return {
        "operationId": "payments_success",
        "description": _("Where a provider sends a reader's browser who has paid: a page."),
        "tags": ["payments"],
        "parameters": _session(),
        "responses": {"200": {"description": _("How the payment stands."), "content": PAGE}},
    }


def _cancel() -> Schema:
    return {
        "operationId": "payments_cancel",
        "description": _("Where a provider sends a reader's browser who turned back: a page."),
        "tags": ["payments"],
        "parameters": _session(),
        "responses": {
            "200": {"description": _("How to go on."), "content": PAGE},
            "302": {"description": _("It was paid after all.")},
        },
    }


def _session() -> list[Schema]:
    """Stripe says `session_id`, PayPal `token`."""
    return [
        {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in ("session_id", "token")
    ]


def _webhook() -> Schema:
    refused = {
        "400": _("The signature is not right, or the event did not arrive whole."),
        "404": _("No such payment provider."),
        "413": _("The event is too large."),
        "500": _("It could not be handled now: to be delivered again."),
        "503": _("Webhooks of this provider are not set up here."),
    }
    return {
        "operationId": "payments_webhook",
        "description": _("Takes an event of a provider, whose signature is its authority."),
        "tags": ["payments"],
        "parameters": [
            {
                "name": "provider",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": ["stripe", "paypal"]},
            }
        ],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": {"description": _("Stored and handled."), "content": RECEIVED},
            **{code: {"description": why, "content": DETAIL} for code, why in refused.items()},
            # What cannot be a provider's name is no address at all.
            "404": {"description": refused["404"], "content": {**DETAIL, **PROBLEM}},
        },
    }
