"""People sign in: code with PKCE, refresh, device code; the token carries the user's roles."""
# ruff: noqa: S106 - test secrets and a test address

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from systems.identity.grants import DEVICE_GRANT, challenge
from tests.identity.conftest import AUDIENCE, OWNER, PASSWORD, REDIRECT, TENANT, VIEWER, Answer, Provider

VERIFIER = "v" * 43
SCOPE = f"openid offline_access {AUDIENCE}/.default"
ASKED = {
    "client_id": VIEWER,
    "redirect_uri": REDIRECT,
    "response_type": "code",
    "scope": SCOPE,
    "state": "a state & more",
    "nonce": "a nonce",
    "code_challenge": challenge(VERIFIER),
    "code_challenge_method": "S256",
}
USER = {"username": "Reader@hospital.test", "password": PASSWORD}


def show(provider: Provider, **changes: str) -> Answer:
    return provider.request("GET", f"/{TENANT}/oauth2/v2.0/authorize?{urlencode(ASKED | changes)}")


def sign_in(provider: Provider, **changes: str) -> Answer:
    return provider.form("/oauth2/v2.0/authorize", ASKED | USER | changes)


def code_of(answer: Answer) -> str:
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def redeem(provider: Provider, code: str, **changes: str) -> Answer:
    fields = {
        "grant_type": "authorization_code",
        "client_id": VIEWER,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    return provider.form("/oauth2/v2.0/token", fields | changes)


def test_page_carries_the_request_and_escapes_it(provider: Provider) -> None:
    page = show(provider, state='"><script>')
    assert page.status == 200
    assert "<script>" not in page.body.decode()
    assert 'type="password"' in page.body.decode()


def test_code_gives_a_delegated_token(provider: Provider) -> None:
    back = sign_in(provider)
    assert back.status == 302
    assert back.headers["Location"].startswith(f"{REDIRECT}?")
    assert parse_qs(urlsplit(back.headers["Location"]).query)["state"] == ["a state & more"]

    answer = redeem(provider, code_of(back))
    claims = provider.validated(answer.json["access_token"])
    assert claims["oid"] == "reader-object"
    assert claims["azp"] == VIEWER
    assert claims["scp"] == "user_impersonation"
    assert claims["roles"] == ["DICOM Data Reader"]
    assert answer.json["id_token"].count(".") == 2


def test_user_without_role_gets_none_from_the_application(provider: Provider) -> None:
    provider.admin("PUT", "/users/reader@hospital.test", {"roles": []})
    provider.admin("PUT", f"/applications/{OWNER}", {"roles": ["DICOM Data Owner"]})
    answer = redeem(provider, code_of(sign_in(provider)))
    assert "roles" not in provider.validated(answer.json["access_token"])


def test_code_works_once_and_only_with_its_verifier(provider: Provider) -> None:
    wrong = redeem(provider, code_of(sign_in(provider)), code_verifier="w" * 43)
    code = code_of(sign_in(provider))
    first, second = redeem(provider, code), redeem(provider, code)
    assert (wrong.status, wrong.json["error"]) == (400, "invalid_grant")
    assert (first.status, second.status) == (200, 400)
    assert second.json["error"] == "invalid_grant"


def test_refresh_token_gives_the_roles_of_now(provider: Provider) -> None:
    refresh = redeem(provider, code_of(sign_in(provider))).json["refresh_token"]
    provider.admin("PUT", "/users/reader@hospital.test", {"roles": ["DICOM Data Owner"]})
    fields = {"grant_type": "refresh_token", "client_id": VIEWER, "refresh_token": refresh}
    first = provider.form("/oauth2/v2.0/token", fields)
    again = provider.form("/oauth2/v2.0/token", fields)
    assert provider.validated(first.json["access_token"])["roles"] == ["DICOM Data Owner"]
    assert again.status == 400


def test_wrong_password_stays_on_the_page(provider: Provider) -> None:
    answer = sign_in(provider, password="wrong")
    assert answer.status == 401
    assert "Location" not in answer.headers


@pytest.mark.parametrize("changes", [{"redirect_uri": "https://thief.test/"}, {"client_id": "nobody"}])
def test_unregistered_requests_are_not_sent_anywhere(provider: Provider, changes: dict[str, str]) -> None:
    for answer in (show(provider, **changes), sign_in(provider, **changes)):
        assert answer.status == 400
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "https://elsewhere.test/.default"}, "invalid_resource"),
    ],
)
def test_wrong_requests_go_back_with_an_error(
    provider: Provider, changes: dict[str, str], error: str
) -> None:
    answer = show(provider, **changes)
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["error"] == [error]


def test_device_code_waits_for_the_user(provider: Provider) -> None:
    device = provider.form(
        "/oauth2/v2.0/devicecode", {"client_id": VIEWER, "scope": f"{AUDIENCE}/.default"}
    ).json
    poll = {"grant_type": DEVICE_GRANT, "client_id": VIEWER, "device_code": device["device_code"]}
    pending = provider.form("/oauth2/v2.0/token", poll)
    entered = provider.form("/oauth2/deviceauth", USER | {"user_code": device["user_code"].lower()})
    done, again = provider.form("/oauth2/v2.0/token", poll), provider.form("/oauth2/v2.0/token", poll)

    assert (pending.status, pending.json["error"]) == (400, "authorization_pending")
    assert entered.status == 200
    assert provider.validated(done.json["access_token"])["oid"] == "reader-object"
    assert again.json["error"] == "expired_token"


def test_browsers_of_any_origin_may_redeem(provider: Provider) -> None:
    answer = provider.form("/oauth2/v2.0/token", {}, {"Origin": "https://viewer.test"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    admin = provider.request("GET", "/admin/requests", headers={"Origin": "https://viewer.test"})
    assert "Access-Control-Allow-Origin" not in admin.headers
