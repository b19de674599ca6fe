"""A scripted OpenID Connect provider on loopback, with keys of its own making."""

import json
import time
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

AUDIENCE = "https://library.example/api"
DOCUMENT = "/realm/.well-known/openid-configuration"
KEYS = "/realm/keys"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: PrivateKeyTypes, **fields: Any) -> dict[str, Any]:
    """The entry of a key in the list that a provider publishes."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    shown: Any = key.public_key()
    return {**json.loads(algorithm.to_jwk(shown)), "use": "sig", **fields}


class Issuer:
    """What it publishes can be changed; `asked` says how often it was asked for its keys."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}/realm"
        self.keys = [public(rsa_key("one"), kid="one", alg="RS256")]
        self.document: dict[str, Any] = {
            "issuer": self.url,
            "jwks_uri": f"http://127.0.0.1:{server.port}{KEYS}",
        }
        server.expect_request(DOCUMENT).respond_with_handler(
            lambda _request: _as_json(self.document)
        )
        server.expect_request(KEYS).respond_with_handler(
            lambda _request: _as_json({"keys": self.keys})
        )

    @property
    def asked(self) -> int:
        return sum(request.path == KEYS for request, _answer in self.server.log)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; those that are changed to None are left out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "anna-there",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "email": "anna@example.org",
            "email_verified": True,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, *, key: Any = None, algorithm: str = "RS256", kid: str | None = "one", **changed: Any
    ) -> str:
        headers = {"kid": kid} if kid is not None else {}
        signing = rsa_key("one") if key is None else key
        return jwt.encode(self.claims(**changed), signing, algorithm, headers)


def _as_json(content: Any) -> Response:
    return Response(json.dumps(content), mimetype="application/json")


@pytest.fixture
def issuer(httpserver: HTTPServer, settings: Settings) -> Issuer:
    """A provider whose tokens the API takes."""
    issuer = Issuer(httpserver)
    settings.OIDC_ISSUER = issuer.url
    settings.OIDC_AUDIENCE = AUDIENCE
    return issuer
