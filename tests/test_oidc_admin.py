"""Staff sign in to the admin through an OpenID Connect provider, and nobody else does."""

import base64
import importlib
import json
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests
import time_machine
from django.conf import settings as in_force
from django.test import Client
from django.urls import clear_url_caches
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import config.urls
from circulation.models import Reader
from tests.emulators import oidc
from tests.emulators.oidc import OidcProvider, oidc_provider
from tests.factories import make_member, make_reader
from tests.issuer import Issuer, rsa_key
from tests.test_oidc import call, signed_in

pytestmark = pytest.mark.django_db
BOOKS = "/admin/catalog/book/"
START = "/admin/sign-in/"
BACK = f"{START}callback/"
BUTTON = "Sign in through your organisation"
LOCAL_ONLY = list(in_force.AUTHENTICATION_BACKENDS)
PEOPLE = {
    "maria": {"email": "Maria@example.org", "email_verified": True},
    "anna": {"email": "anna@example.org", "email_verified": True, "given_name": "Anna"},
    "unverified": {"email": "maria@example.org", "email_verified": False},
    "stranger": {"email": "stranger@example.org", "email_verified": True},
}


def use(settings: Settings, issuer: str) -> None:
    settings.OIDC_ISSUER = issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = oidc.CLIENT_ID, oidc.CLIENT_SECRET
    settings.AUTHENTICATION_BACKENDS = [*LOCAL_ONLY, "config.oidc.sign_in.ProviderBackend"]
    reload_addresses()


def reload_addresses() -> None:
    importlib.reload(config.urls)
    clear_url_caches()


@pytest.fixture
def addresses(settings: Settings) -> Iterator[None]:
    """The addresses of the site follow the settings, and are as usual again after the test."""
    yield
    settings.OIDC_ISSUER = ""
    reload_addresses()


@pytest.fixture
def maria(db: None) -> Reader:
    return make_member("Librarian", email="maria@example.org")


def authorization(client: Client, page: str = BOOKS) -> str:
    """Press the button on the login page; return the address that the browser is sent to."""
    text = client.get(page, follow=True).text
    assert text.count(BUTTON) == 1
    found = re.search(rf'href="({START}[^"]*)"', text)
    assert found, text
    answer = client.get(unescape(found[1]))
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"])


def name_of(client: Client) -> str | None:
    user = client.get("/admin/", follow=True).context["user"]
    return user.email if user.is_authenticated else None


class TestWithoutSettings:
    def test_there_is_no_button_and_no_address(self) -> None:
        client = Client()
        assert BUTTON not in client.get("/admin/login/").text
        assert client.get(START).status_code == 302  # the admin's own answer to any address
        assert client.get(START, follow=True).request["PATH_INFO"] == "/admin/login/"
        assert "ProviderBackend" not in str(in_force.AUTHENTICATION_BACKENDS)
        assert "oidc" not in str(in_force.MIDDLEWARE)


@pytest.mark.emulator
class TestWithOidcProvider:
    @pytest.fixture
    def provider(self, settings: Settings, addresses: None) -> Iterator[OidcProvider]:
        with oidc_provider(PEOPLE) as provider:
            use(settings, provider.url)
            settings.OIDC_AUDIENCE = oidc.AUDIENCE
            yield provider

    @pytest.fixture
    def anna(self, db: None) -> Reader:
        return make_reader(email="anna@example.org")

    def test_staff_come_in_by_the_button_and_land_where_they_wanted(
        self, provider: OidcProvider, maria: Reader
    ) -> None:
        client = Client()
        asked = authorization(client)
        query = parse_qs(urlsplit(asked).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["state"]
        assert query["nonce"]

        back = client.get(provider.sign_in(asked, "maria"))

        assert (back.status_code, back.headers["Location"]) == (302, BOOKS)
        assert name_of(client) == maria.email
        assert client.get(BOOKS).status_code == 200
        assert maria.external_identities.get().subject == "maria"

    def test_a_reader_a_stranger_and_an_unverified_email_get_a_clear_page(
        self, provider: OidcProvider, maria: Reader, anna: Reader
    ) -> None:
        for name, said in (
            ("anna", "no member of staff"),
            ("stranger", "no account for stranger@example.org"),
            ("unverified", "not verified"),
        ):
            client = Client()
            provider.browser = requests.Session()
            back = client.get(provider.sign_in(authorization(client), name))
            assert back.status_code == 403
            assert said in back.text
            assert "Back to the sign-in page" in back.text
            assert name_of(client) is None
        assert Reader.objects.count() == 2

    def test_an_answer_is_good_once_and_in_one_browser(
        self, provider: OidcProvider, maria: Reader
    ) -> None:
        client, other = Client(), Client()
        back = provider.sign_in(authorization(client), "maria")

        assert "another browser" in other.get(back).text
        authorization(other)
        assert "another browser" in other.get(back).text
        assert client.get(back).status_code == 302
        client.post("/admin/logout/")
        assert client.get(back).status_code == 403
        assert name_of(client) is None

    def test_the_api_takes_its_access_tokens(self, provider: OidcProvider, anna: Reader) -> None:
        assert signed_in(provider.access_token("anna")) == anna

    def test_the_api_refuses_a_token_for_another_service(
        self, provider: OidcProvider, anna: Reader
    ) -> None:
        token = provider.access_token("anna", audience="https://elsewhere.example/api")
        assert "another service" in call(token).data["detail"]

    def test_the_api_refuses_an_expired_token(self, provider: OidcProvider, anna: Reader) -> None:
        token = provider.access_token("anna")
        with time_machine.travel(time.time() + 400):
            answer = call(token)
        assert answer.status_code == 401
        assert "expired" in answer.data["detail"]

    def test_the_api_refuses_an_unverified_email(
        self, provider: OidcProvider, maria: Reader
    ) -> None:
        answer = call(provider.access_token("unverified"))
        assert answer.status_code == 401
        assert "not verified" in answer.data["detail"]

    def test_the_api_learns_a_new_key_and_forgets_the_old_one(
        self, provider: OidcProvider, anna: Reader
    ) -> None:
        old = provider.access_token("anna")
        signed_in(old)
        provider.rotate()

        assert signed_in(provider.access_token("anna")) == anna
        assert call(old).status_code == 401


class ScriptedLogin:
    """The issuer of the API's tests, with the ends of the code flow: each can be scripted."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"email": "maria@example.org"}
        self.tokens: Any = None
        self.userinfo: Any = None
        self.status = 200
        self.forms: list[dict[str, str]] = []
        self.credentials: list[str] = []
        self.nonce = ""
        server: HTTPServer = issuer.server
        ends = {"authorization": "/authorize", "token": "/token", "userinfo": "/userinfo"}
        for name, path in ends.items():
            issuer.document[f"{name}_endpoint"] = f"http://127.0.0.1:{server.port}{path}"
        server.expect_request("/token").respond_with_handler(self._token)
        server.expect_request("/userinfo").respond_with_handler(
            lambda _request: Response(json.dumps(self.userinfo), mimetype="application/json")
        )

    def come_back(self, client: Client, **changed: str) -> Any:
        """Sign in at the provider; return the library's answer to the browser that comes back."""
        asked = dict(parse_qsl(urlsplit(authorization(client)).query))
        self.nonce = asked["nonce"]
        return client.get(BACK, {"code": "the-code", "state": asked["state"], **changed})

    def _token(self, request: Request) -> Response:
        self.forms.append(request.form.to_dict())
        self.credentials.append(request.headers.get("Authorization", ""))
        claims = {"aud": oidc.CLIENT_ID, "nonce": self.nonce, **self.claims}
        tokens = {"id_token": self.issuer.token(**claims), "access_token": "for-userinfo"}
        body = json.dumps(tokens if self.tokens is None else self.tokens)
        return Response(body, self.status, mimetype="application/json")


class TestWithAScriptedProvider:
    @pytest.fixture
    def login(self, issuer: Issuer, settings: Settings, addresses: None) -> ScriptedLogin:
        use(settings, issuer.url)
        return ScriptedLogin(issuer)

    def test_the_code_is_redeemed_with_the_secret_and_the_verifier(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        assert login.come_back(Client()).status_code == 302
        form, basic = login.forms[0], login.credentials[0]
        assert (form["code"], form["redirect_uri"]) == ("the-code", f"http://testserver{BACK}")
        assert len(form["code_verifier"]) >= 43
        assert base64.b64decode(basic.split()[1]) == b"carrel:secret+of+the+tests"
        assert "client_secret" not in form

    def test_the_secret_goes_into_the_form_where_the_provider_wants_it_there(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        login.issuer.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        assert login.come_back(Client()).status_code == 302
        assert login.forms[0]["client_secret"] == oidc.CLIENT_SECRET
        assert login.credentials == [""]

    @pytest.mark.parametrize(
        "claims",
        [
            {"nonce": "another"},
            {"nonce": None},
            {"aud": "another-client"},
            {"aud": ["https://library.example/api"]},
            {"exp": int(time.time()) - 65},
            {"iss": "https://elsewhere.example"},
            {"email_verified": False},
            {"email": "nobody@example.org"},
            {"key": rsa_key("two")},
        ],
    )
    def test_a_bad_id_token_lets_nobody_in(
        self, login: ScriptedLogin, maria: Reader, claims: dict[str, Any]
    ) -> None:
        client = Client()
        login.claims |= claims
        assert login.come_back(client).status_code == 403
        assert name_of(client) is None

    def test_an_account_that_is_switched_off_is_not_let_in_and_does_not_stay(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        client = Client()
        login.come_back(client)
        Reader.objects.update(is_active=False)
        assert name_of(client) is None
        assert "switched off" in login.come_back(client).text

    def test_a_reader_is_not_let_in(self, login: ScriptedLogin) -> None:
        client, anna = Client(), make_reader("Anna", email="anna@example.org")
        login.claims["email"] = anna.email
        assert "Anna Nowak is no member of staff" in login.come_back(client).text
        assert name_of(client) is None

    def test_claims_that_the_id_token_leaves_out_are_asked_for(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        login.claims = {"email": None, "email_verified": None}
        login.userinfo = {"sub": "somebody-else", "email": maria.email, "email_verified": True}
        assert "two accounts" in login.come_back(Client()).text
        login.userinfo["sub"] = "anna-there"
        assert login.come_back(Client()).status_code == 302

    @pytest.mark.parametrize("tokens", [{}, {"id_token": None}, {"id_token": 7}, {"error": "x"}])
    def test_an_answer_without_an_id_token_lets_nobody_in(
        self, login: ScriptedLogin, tokens: Any
    ) -> None:
        login.tokens = tokens
        assert login.come_back(Client()).status_code == 403

    def test_a_code_that_the_provider_refuses_says_try_again_and_harms_no_other(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        login.status = 400
        assert "Try again" in login.come_back(Client()).text
        login.status = 200
        assert login.come_back(Client()).status_code == 302

    @pytest.mark.parametrize("tokens", [[], "x", None])
    def test_a_provider_in_trouble_is_told_and_local_sign_in_goes_on(
        self, login: ScriptedLogin, tokens: Any
    ) -> None:
        make_member("Cashier", email="local@example.org", password="local-password")
        client = Client()
        login.status = 502 if tokens is None else 200
        login.tokens = tokens
        back = login.come_back(client)
        assert back.status_code == 503
        assert "does not answer" in back.text
        form = {"username": "local@example.org", "password": "local-password"}
        assert client.post("/admin/login/", form).status_code == 302
        assert name_of(client) == "local@example.org"

    def test_a_provider_without_the_addresses_of_the_flow_is_in_trouble(
        self, login: ScriptedLogin
    ) -> None:
        del login.issuer.document["authorization_endpoint"]
        answer = Client().get(START)
        assert answer.status_code == 503
        assert "does not answer" in answer.text

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"code": "x"},
            {"state": "x"},
            {"code": "x", "state": "x"},
            {"code": "\x00", "state": "\x00"},
            {"error": "access_denied"},
            {"error": "<script>alert(1)</script>", "state": "x"},
        ],
    )
    def test_a_made_up_way_back_is_a_clear_page(
        self, login: ScriptedLogin, query: dict[str, str]
    ) -> None:
        answer = Client().get(BACK, query)
        assert answer.status_code == 403
        assert "<script>alert" not in answer.text
        assert Client().post(BACK, query).status_code in (403, 405)

    def test_a_link_with_an_error_signs_nobody_out(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        client = Client()
        client.force_login(maria, LOCAL_ONLY[-1])
        client.get(BACK, {"error": "x"})
        assert name_of(client) == maria.email

    @pytest.mark.parametrize(
        "wanted",
        ["https://evil.example/", "//evil.example/", "\\\\evil.example", "javascript:alert(1)"],
    )
    def test_nobody_is_sent_on_to_another_site(
        self, login: ScriptedLogin, maria: Reader, wanted: str
    ) -> None:
        client = Client()
        asked = client.get(f"{START}?{urlencode({'next': wanted})}")
        query = dict(parse_qsl(urlsplit(asked.headers["Location"]).query))
        login.nonce = query["nonce"]
        back = client.get(BACK, {"code": "x", "state": query["state"]})
        assert (back.status_code, back.headers["Location"]) == (302, "/admin/")

    def test_the_session_is_another_one_than_before(
        self, login: ScriptedLogin, maria: Reader
    ) -> None:
        client = Client()
        authorization(client)
        before = client.session.session_key
        login.come_back(client)
        assert client.session.session_key != before

    def test_failed_sign_ins_lock_no_address(self, login: ScriptedLogin, maria: Reader) -> None:
        login.claims["email"] = "nobody@example.org"
        for _number in range(7):
            assert login.come_back(Client()).status_code == 403
        login.claims["email"] = maria.email
        assert login.come_back(Client()).status_code == 302

    def test_rights_come_from_the_account_alone(self, login: ScriptedLogin, maria: Reader) -> None:
        client = Client()
        login.claims |= {"groups": ["Superusers"], "is_superuser": True}
        login.come_back(client)
        user = client.get("/admin/").context["user"]
        assert user.has_perm("catalog.change_book")
        assert not user.has_perm("auth.add_group")
        maria.groups.clear()
        assert client.get(BOOKS).status_code == 403
