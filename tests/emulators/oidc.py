"""npm's `oidc-provider`, and a person who signs in on its pages as a browser would."""

import base64
import hashlib
import html
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from tests.emulators import HERE, node, running

AUDIENCE = "https://library.example/api"
CLIENT_ID, CLIENT_SECRET = "carrel", "secret of the tests"
CALLBACK = "http://testserver/admin/sign-in/callback/"
APP, APP_CALLBACK = "reading-app", "http://127.0.0.1/app"
TIMEOUT = 20
FORM = re.compile(r'<form[^>]* action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)


@dataclass
class OidcProvider:
    url: str
    browser: requests.Session = field(default_factory=requests.Session)

    def sign_in(self, address: str, name: str) -> str:
        """Follow an authorization request through login and consent; return where it leads."""
        answer = self.browser.get(address, timeout=TIMEOUT, allow_redirects=False)
        while True:
            if answer.is_redirect:
                address = answer.headers["Location"]
                if not address.startswith((self.url, "/")):
                    return address
                answer = self._get(address)
            else:
                answer = self._submit(answer, name)

    def access_token(self, name: str, *, audience: str = AUDIENCE) -> str:
        """Return what an app on a reader's phone is given for the API."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "client_id": APP,
            "response_type": "code",
            "redirect_uri": APP_CALLBACK,
            "scope": "openid email library",
            "resource": audience,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        where = self.sign_in(f"{self.url}/auth?{urlencode(asked)}", name)
        form = {
            "grant_type": "authorization_code",
            "client_id": APP,
            "redirect_uri": APP_CALLBACK,
            "code": parse_qs(urlsplit(where).query)["code"][0],
            "code_verifier": verifier,
            "resource": audience,
        }
        answer = requests.post(f"{self.url}/token", form, timeout=TIMEOUT)
        assert answer.ok, answer.text
        return str(answer.json()["access_token"])

    def rotate(self) -> None:
        """Let it sign with a new key, and publish that one alone."""
        assert requests.post(f"{self.url}/rotate", timeout=TIMEOUT).ok

    def _get(self, address: str) -> requests.Response:
        full = address if address.startswith("http") else f"{self.url}{address}"
        return self.browser.get(full, timeout=TIMEOUT, allow_redirects=False)

    def _submit(self, page: requests.Response, name: str) -> requests.Response:
        found = FORM.search(page.text)
        assert found, page.text
        filled = {"login": name, "password": "any"} if 'name="login"' in found[2] else {}
        prompt = "login" if filled else "consent"
        address = html.unescape(found[1])
        full = address if address.startswith("http") else f"{self.url}{address}"
        form = {"prompt": prompt, **filled}
        return self.browser.post(full, form, timeout=TIMEOUT, allow_redirects=False)


@contextmanager
def oidc_provider(people: dict[str, dict[str, Any]]) -> Iterator[OidcProvider]:
    """Run a provider that knows these people, by the name that they type, with their claims."""
    staff = {"id": CLIENT_ID, "secret": CLIENT_SECRET, "redirect_uri": CALLBACK}
    asked = json.dumps({"audience": AUDIENCE, "staff": staff, "people": people})
    with running([node(), str(HERE / "oidc.mjs"), asked]) as address:
        yield OidcProvider(address)
