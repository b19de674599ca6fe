"""Access tokens of an OpenID Connect provider: whom they stand for, and which are refused."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from circulation import identities
from circulation.identities import ExternalIdentity, Person, SignInRefusedError
from circulation.models import Reader
from config.oidc import provider
from config.oidc.checks import check_provider
from tests.factories import make_reader, make_staff
from tests.faulty_server import FAULTS, FaultyServer
from tests.issuer import KEYS, Issuer, ec_key, public, rsa_key

pytestmark = pytest.mark.django_db


class WhoAmI(APIView):
    """Answers who is asking; GET is for readers, POST for staff who may check out."""

    access = {"GET": ("reader",), "POST": ("circulation.check_out",), "PUT": ("anyone",)}

    def get(self, request: Request) -> Response:
        return Response({"id": request.user.pk})

    put = post = get


def call(token: str | None, method: str = "get") -> Any:
    headers = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    request = getattr(APIRequestFactory(), method)("/", **headers)
    return WhoAmI.as_view()(request).render()


def signed_in(token: str) -> Reader:
    answer = call(token)
    assert answer.status_code == 200, answer.data
    return Reader.objects.get(pk=answer.data["id"])


def refused(token: str) -> str:
    """Assert that a token opens nothing, public doors neither, and return what is said."""
    for method in ("get", "put"):
        answer = call(token, method)
        assert answer.status_code == 401, answer.data
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.data["detail"])


def pem() -> bytes:
    return rsa_key("one").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed_by_hand(issuer: Issuer, secret: bytes, **header: Any) -> str:
    """A token that PyJWT would not make: with a public key as the secret."""
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415
    import json  # noqa: PLC0415

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    head = part(json.dumps({"typ": "JWT", "kid": "one", **header}).encode())
    signed = f"{head}.{part(json.dumps(issuer.claims()).encode())}"
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{part(digest)}"


@pytest.fixture
def anna(db: None) -> Reader:
    return make_reader("Anna", email="anna@example.org")


class TestGoodTokens:
    def test_a_verified_email_says_whose_account_it_is(self, issuer: Issuer, anna: Reader) -> None:
        assert signed_in(issuer.token(email="ANNA@Example.org")) == anna
        identity = anna.external_identities.get()
        assert (identity.issuer, identity.subject) == (issuer.url, "anna-there")
        assert identity.history.get().history_user == anna

    @pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256"])
    def test_every_signature_by_a_key_pair_will_do(
        self, issuer: Issuer, anna: Reader, algorithm: str
    ) -> None:
        key = ec_key("one") if algorithm == "ES256" else rsa_key("one")
        issuer.keys = [public(key, kid="one")]

        assert signed_in(issuer.token(key=key, algorithm=algorithm)) == anna

    def test_a_token_without_a_key_id_is_checked_with_the_only_key(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        assert signed_in(issuer.token(kid=None)) == anna

    def test_audiences_may_be_several(self, issuer: Issuer, anna: Reader) -> None:
        assert signed_in(issuer.token(aud=["account", "https://library.example/api"])) == anna

    def test_clocks_may_differ_by_a_minute(self, issuer: Issuer, anna: Reader) -> None:
        now = int(time.time())
        assert signed_in(issuer.token(exp=now - 50)) == anna
        assert signed_in(issuer.token(nbf=now + 50, iat=now + 50)) == anna

    def test_the_provider_is_asked_once_and_the_database_seldom(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        token = issuer.token()
        signed_in(token)
        with CaptureQueriesContext(connection) as asked:
            call(token)

        assert issuer.asked == 1
        assert len([query for query in asked if "carrel_cache" not in query["sql"]]) == 1


def a_minute_and_more_ago() -> int:
    return int(time.time()) - 65


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "https://elsewhere.example"},
    "an audience that begins like ours": {"aud": "https://library.example/api/"},
    "no audience": {"aud": None},
    "an audience of another form": {"aud": {"https://library.example/api": 1}},
    "expired": {"exp": a_minute_and_more_ago()},
    "for ever": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "an endless end": {"exp": float("inf")},
    "not yet": {"nbf": int(time.time()) + 3600},
    "made in the future": {"iat": int(time.time()) + 3600},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is too long": {"sub": "x" * 256},
    "a subject with a NUL": {"sub": "anna\x00"},
    "no email": {"email": None},
    "an email that is none": {"email": "anna"},
    "an email of another form": {"email": ["anna@example.org"]},
    "an email with a NUL": {"email": "anna\x00@example.org"},
    "an email that is too long": {"email": f"{'a' * 400}@example.org"},
    "an email that is a little too long": {"email": f"{'a' * 243}@example.org"},
    "half a character as an email": {"email": "\ud800@example.org"},
    "an unverified email": {"email_verified": False},
    "an email of which nothing is said": {"email_verified": None},
    "an email verified in words": {"email_verified": "true"},
    "Keycloak's ID token": {"typ": "ID"},
    "an ID token": {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
}


class TestBadTokens:
    @pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
    def test_what_a_token_has_to_say(
        self, issuer: Issuer, anna: Reader, settings: Settings, claims: dict[str, Any]
    ) -> None:
        settings.OIDC_CREATE_READERS = True
        assert refused(issuer.token(**claims))
        assert not ExternalIdentity.objects.exists()
        assert Reader.objects.get() == anna

    def test_nothing_is_taken_unsigned(self, issuer: Issuer, anna: Reader) -> None:
        for name in ("none", "None", "NONE", "", None):
            refused(signed_by_hand(issuer, b"", alg=name))
        refused(signed_by_hand(issuer, b""))

    def test_a_public_key_is_no_secret(self, issuer: Issuer, anna: Reader) -> None:
        for secret in (pem(), pem().strip(), b"one"):
            for algorithm in ("HS256", "RS256"):
                refused(signed_by_hand(issuer, secret, alg=algorithm))

    def test_a_key_that_comes_with_the_token_counts_for_nothing(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        mine = rsa_key("two")
        more = {"jwk": public(mine), "jku": f"{issuer.url}/mine", "kid": "one"}

        refused(jwt.encode(issuer.claims(), mine, "RS256", more))

    @pytest.mark.parametrize("kid", ["one", "two", "", None, "../../etc/passwd", "x" * 5000])
    def test_another_key_does_not_do(self, issuer: Issuer, anna: Reader, kid: str | None) -> None:
        refused(issuer.token(key=rsa_key("two"), kid=kid))

    def test_a_key_does_for_its_own_algorithm_alone(self, issuer: Issuer, anna: Reader) -> None:
        refused(issuer.token(algorithm="PS256"))
        refused(issuer.token(key=ec_key("one"), algorithm="ES256"))
        issuer.keys = [public(rsa_key("one"), kid="other use") | {"use": "enc"}]
        cache.clear()
        refused(issuer.token(kid="other use"))

    @pytest.mark.filterwarnings("ignore:The RSA key:jwt.InsecureKeyLengthWarning")
    def test_a_weak_key_does_not_do(self, issuer: Issuer, anna: Reader) -> None:
        weak = rsa_key("weak", 1024)
        issuer.keys = [public(weak, kid="one")]

        refused(issuer.token(key=weak))

    def test_a_changed_token_is_refused(self, issuer: Issuer, anna: Reader) -> None:
        head, _body, signature = issuer.token().split(".")
        _head, body, _signature = issuer.token(sub="somebody-else").split(".")

        refused(f"{head}.{body}.{signature}")

    @pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "....", "ey.ey.ey", "é.é.é"])
    def test_rubbish_is_refused(self, issuer: Issuer, token: str) -> None:
        refused(token)

    def test_another_providers_token_is_refused_and_nobody_is_asked(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        refused(issuer.token(iss="https://elsewhere.example"))
        assert issuer.asked == 0

    def test_a_huge_token_is_not_looked_into(self, issuer: Issuer, anna: Reader) -> None:
        refused(issuer.token(more="x" * 20_000))
        assert issuer.asked == 0

    @pytest.mark.parametrize("name", ["OIDC_ISSUER", "OIDC_AUDIENCE"])
    def test_without_settings_no_token_is_taken(
        self, issuer: Issuer, anna: Reader, settings: Settings, name: str
    ) -> None:
        token = issuer.token()
        setattr(settings, name, "")

        refused(token)
        assert issuer.asked == 0


class TestKeys:
    def test_a_new_key_is_found_and_the_old_one_forgotten(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        old = issuer.token()
        signed_in(old)
        issuer.keys = [public(rsa_key("two"), kid="two")]

        assert signed_in(issuer.token(key=rsa_key("two"), kid="two")) == anna
        refused(old)

    def test_for_keys_that_nobody_has_the_provider_is_asked_once_a_minute(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        signed_in(issuer.token())
        with time_machine.travel(time.time(), tick=False) as clock:
            for number in range(5):
                refused(issuer.token(kid=f"made-up-{number}"))
            assert issuer.asked == 2
            clock.shift(61)
            refused(issuer.token(kid="made-up"))
            assert issuer.asked == 3
            assert signed_in(issuer.token()) == anna

    def test_a_key_that_was_withdrawn_is_good_for_ten_minutes_at_most(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        signed_in(issuer.token())
        issuer.keys = [public(rsa_key("two"), kid="two")]
        with time_machine.travel(time.time() + 601):
            refused(issuer.token())

    def test_other_entries_in_the_list_of_keys_do_no_harm(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        odd: list[Any] = [None, [], "x", {}, {"kty": "oct", "k": "eA", "kid": "one"}, {"kty": 7}]
        issuer.keys = [*odd, {"kty": "RSA", "kid": "half"}, *issuer.keys]

        assert signed_in(issuer.token()) == anna
        refused(issuer.token(kid="half"))


def is_away(token: str) -> Any:
    answer = call(token)
    assert answer.status_code == 503, answer.data
    assert answer.headers["Retry-After"] == "10"
    assert answer.data["code"] == "sign_in_provider_away"
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer


class TestTroubleWithTheProvider:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_provider_in_trouble_costs_a_moment_and_is_left_alone_then(
        self, settings: Settings, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(provider, "PATIENCE", 0.3)
        with FaultyServer() as server:
            server.does(fault)
            settings.OIDC_ISSUER = f"http://127.0.0.1:{server.port}"
            settings.OIDC_AUDIENCE = "x"
            token = jwt.encode({"iss": settings.OIDC_ISSUER}, rsa_key("one"), "RS256")
            began = time.monotonic()
            is_away(token)
            assert time.monotonic() - began < 2
            began = time.monotonic()
            is_away(token)
            assert time.monotonic() - began < 0.2

    def test_others_are_served_while_it_is_away(self, issuer: Issuer, anna: Reader) -> None:
        from rest_framework_simplejwt.tokens import AccessToken  # noqa: PLC0415

        issuer.document["issuer"] = "somebody else"
        is_away(issuer.token())

        assert call(None, "put").status_code == 200
        assert call(str(AccessToken.for_user(anna))).status_code == 200

    def test_it_is_asked_again_after_ten_seconds(self, issuer: Issuer, anna: Reader) -> None:
        issuer.document["issuer"] = "somebody else"
        is_away(issuer.token())
        issuer.document["issuer"] = issuer.url
        is_away(issuer.token())
        with time_machine.travel(time.time() + 11):
            assert signed_in(issuer.token()) == anna

    @pytest.mark.parametrize(
        "keys",
        [
            None,
            {"keys": []},
            "x",
            [{"kty": "RSA", "kid": "one", "n": "x" * 70_000}],
        ],
    )
    def test_a_list_of_keys_that_is_none_or_huge(self, issuer: Issuer, keys: Any) -> None:
        issuer.keys = keys
        is_away(issuer.token())

    def test_a_list_without_keys_refuses_everybody(self, issuer: Issuer, anna: Reader) -> None:
        issuer.keys = []
        refused(issuer.token())

    @pytest.mark.parametrize(
        "address",
        [
            "http://127.0.0.1:9/keys",
            "http://169.254.169.254/latest/meta-data",
            "https://127.0.0.1:9/keys",
            "file:///etc/passwd",
            "http://[::1",
            "",
            7,
            None,
        ],
    )
    def test_its_document_leads_nowhere_else(self, issuer: Issuer, address: Any) -> None:
        issuer.document["jwks_uri"] = address
        is_away(issuer.token())

    def test_a_redirect_is_not_followed(self, issuer: Issuer, anna: Reader) -> None:
        there = {"Location": f"http://127.0.0.1:{issuer.server.port}{KEYS}"}
        issuer.server.expect_request("/moved").respond_with_data("", 302, there)
        issuer.document["jwks_uri"] = f"http://127.0.0.1:{issuer.server.port}/moved"
        is_away(issuer.token())
        assert issuer.asked == 0

    @pytest.mark.parametrize(
        ("address", "is_allowed"),
        [
            ("https://login.example.org/keys", True),
            ("https://login.example.org:444/keys", False),
            ("http://login.example.org/keys", False),
            ("https://keys.example.org/keys", True),
            ("http://keys.example.org/keys", False),
            ("https://evil.example.org/keys", False),
            ("https://login.example.org@evil.example.org/keys", False),
            ("ftp://keys.example.org/keys", False),
        ],
    )
    def test_only_the_issuers_host_and_those_of_the_settings_are_called(
        self, settings: Settings, address: str, is_allowed: bool
    ) -> None:
        settings.OIDC_ISSUER = "https://login.example.org/realms/library"
        settings.OIDC_HOSTS = ["keys.example.org"]
        assert provider.is_allowed(address) == is_allowed


class TestAccounts:
    def test_an_unknown_person_is_refused_unless_accounts_may_be_made(
        self, issuer: Issuer, settings: Settings
    ) -> None:
        token = issuer.token(given_name="Anna\x00", family_name="N" * 500, is_staff=True)
        assert "no account" in refused(token)
        settings.OIDC_CREATE_READERS = True

        anna = signed_in(token)

        assert (anna.email, anna.first_name, len(anna.last_name)) == (
            "anna@example.org",
            "Anna",
            150,
        )
        assert not any((anna.is_staff, anna.is_superuser, anna.has_usable_password()))
        assert signed_in(token) == anna

    def test_an_account_that_is_switched_off_opens_nothing(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        Reader.objects.update(is_active=False)
        assert "switched off" in refused(issuer.token())
        assert not anna.external_identities.exists()
        Reader.objects.update(is_active=True)
        signed_in(issuer.token())
        Reader.objects.update(is_active=False)
        assert "switched off" in refused(issuer.token())

    def test_who_changes_the_email_there_keeps_the_account_and_gets_no_other(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        bartek = make_reader("Bartek", email="bartek@example.org")
        signed_in(issuer.token())

        for email in (bartek.email, "nobody@example.org", None):
            assert signed_in(issuer.token(email=email, email_verified=False)) == anna
        assert not bartek.external_identities.exists()

    def test_who_is_given_anothers_old_email_there_does_not_get_the_account(
        self, issuer: Issuer, anna: Reader
    ) -> None:
        signed_in(issuer.token())

        assert "another account" in refused(issuer.token(sub="a-later-anna"))
        assert signed_in(issuer.token()) == anna

    def test_a_link_that_was_taken_off_can_be_made_anew(self, issuer: Issuer, anna: Reader) -> None:
        signed_in(issuer.token())
        anna.external_identities.get().delete()

        assert signed_in(issuer.token(sub="a-later-anna")) == anna

    def test_who_waits_in_an_account_with_anothers_email_is_shut_out(self, issuer: Issuer) -> None:
        trap = make_reader(
            email="anna@example.org", password="the-trappers", is_email_verified=False
        )
        assert signed_in(issuer.token()) == trap
        trap.refresh_from_db()
        assert not trap.has_usable_password()
        assert trap.is_email_verified
        assert "password is void" in trap.history.first().history_change_reason

    def test_a_password_that_goes_with_a_confirmed_email_stays_good(self, issuer: Issuer) -> None:
        anna = make_reader(email="anna@example.org", password="annas-own")
        signed_in(issuer.token())
        anna.refresh_from_db()
        assert anna.check_password("annas-own")

    def test_no_token_makes_staff_and_staff_stay_staff(self, issuer: Issuer, anna: Reader) -> None:
        claims = {"is_staff": True, "groups": ["Librarian"], "roles": ["admin"]}
        assert call(issuer.token(**claims), "post").status_code == 403
        make_staff(email="maria@example.org", permissions=("circulation.check_out",))
        maria = issuer.token(sub="maria", email="maria@example.org")
        assert call(maria, "post").status_code == 200

    def test_in_the_race_where_another_request_was_first_both_get_the_account(
        self, anna: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        person = Person("https://x.example", "anna", "anna@example.org", is_email_verified=True)
        identities.reader_for(person, may_create=False)
        monkeypatch.setattr(identities, "_linked", lambda *_names: None)

        assert identities.reader_for(person, may_create=False) == anna

    @pytest.mark.django_db(transaction=True)
    def test_eight_first_requests_at_once_make_one_account(self) -> None:
        person = Person("https://x.example", "anna", "anna@example.org", is_email_verified=True)

        def arrive(_number: int) -> int:
            try:
                return identities.reader_for(person, may_create=True).pk
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(arrive, range(8)))) == 1
        assert ExternalIdentity.objects.count() == Reader.objects.count() == 1

    def test_a_provider_has_one_account_for_each_of_ours(self, anna: Reader) -> None:
        for issuer in ("https://one.example", "https://two.example"):
            person = Person(issuer, "x", "anna@example.org", is_email_verified=True)
            assert identities.reader_for(person, may_create=False) == anna
        with pytest.raises(SignInRefusedError):
            identities.reader_for(
                Person("https://one.example", "y", "anna@example.org", is_email_verified=True),
                may_create=True,
            )


GOOD = {"OIDC_ISSUER": "https://login.example.org/realms/library", "OIDC_AUDIENCE": "x"}
STAFF = {"OIDC_CLIENT_ID": "carrel", "OIDC_CLIENT_SECRET": "s"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        (GOOD, []),
        ({**GOOD, **STAFF, "OIDC_CREATE_READERS": True}, []),
        ({"OIDC_AUDIENCE": "x"}, ["config.E020"]),
        ({**STAFF}, ["config.E020"]),
        ({"OIDC_CREATE_READERS": True}, ["config.E020"]),
        ({**GOOD, **STAFF, "OIDC_AUDIENCE": "carrel"}, ["config.W026"]),
        ({**GOOD, "OIDC_CLIENT_ID": "carrel"}, ["config.E021"]),
        ({**GOOD, "OIDC_CLIENT_SECRET": "s"}, ["config.E021"]),
        ({"OIDC_ISSUER": GOOD["OIDC_ISSUER"]}, ["config.W022"]),
        ({**GOOD, **STAFF, "OIDC_AUDIENCE": "", "OIDC_CREATE_READERS": True}, ["config.W023"]),
        ({**GOOD, "OIDC_ISSUER": "http://login.example.org"}, ["config.E024"]),
        ({**GOOD, "OIDC_ISSUER": "http://login.example.org", "DEBUG": True}, []),
        ({**GOOD, "OIDC_ISSUER": "http://127.0.0.1:8080/realms/x"}, []),
        ({**GOOD, "OIDC_ISSUER": "http://localhost:8080/realms/x"}, []),
        ({**GOOD, "OIDC_ISSUER": "http://[::1]:8080/realms/x"}, []),
        ({**GOOD, "OIDC_ISSUER": "login.example.org"}, ["config.E024"]),
        ({**GOOD, "OIDC_ISSUER": "https://"}, ["config.E024"]),
        ({**GOOD, "OIDC_ISSUER": "https://a:b@login.example.org"}, ["config.E024"]),
        ({**GOOD, "OIDC_ISSUER": "https://login.example.org/?x=1"}, ["config.E024"]),
        ({**GOOD, "OIDC_ISSUER": "https://[::1"}, ["config.E024"]),
        ({**GOOD, "OIDC_HOSTS": ["www.example.org", "keys.example.org:8443"]}, []),
        ({**GOOD, "OIDC_HOSTS": ["https://www.example.org"]}, ["config.E025"]),
        ({**GOOD, "OIDC_HOSTS": ["*.example.org"]}, ["config.E025"]),
    ],
)
def test_half_set_and_unsafe_settings_are_told_with_what_to_do(
    settings: Settings, changed: dict[str, Any], found: list[str]
) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    told = check_provider()
    assert [message.id for message in told] == found
    assert all(message.hint for message in told)
