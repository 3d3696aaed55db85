"""What an administrator changes takes effect at once, and secrets never come back."""
# ruff: noqa: S106 - test secrets and a test address

import time
from pathlib import Path

import jwt
import pytest

from tests.identity.conftest import (
    AUDIENCE,
    OWNER,
    SECRET,
    TENANT,
    Provider,
    free_port,
    start,
    stop,
    write_files,
)


def test_admin_key_is_needed(provider: Provider) -> None:
    assert provider.admin("GET", "/requests").status == 200
    assert provider.admin("GET", "/requests", key="wrong").status == 401
    assert provider.admin("GET", "/requests", key="").status == 401


def test_disabled_application_is_refused_until_enabled(provider: Provider) -> None:
    provider.admin("PUT", f"/applications/{OWNER}", {"enabled": False})
    refused = provider.token()
    provider.admin("PUT", f"/applications/{OWNER}", {"enabled": True})

    assert (refused.status, refused.json["error_codes"]) == (400, [7000112])
    assert provider.token().status == 200


def test_changed_secret_replaces_the_old_one(provider: Provider) -> None:
    provider.admin("PUT", f"/applications/{OWNER}", {"secret": "new one"})
    assert provider.token().status == 401
    assert provider.token(client_secret="new one").status == 200


def test_changed_roles_are_in_the_next_token(provider: Provider) -> None:
    provider.admin("PUT", f"/applications/{OWNER}", {"roles": ["DICOM Data Reader"]})
    assert provider.validated(provider.token().json["access_token"])["roles"] == ["DICOM Data Reader"]


def test_new_application_needs_a_secret(provider: Provider) -> None:
    assert provider.admin("PUT", "/applications/newcomer", {"roles": []}).status == 404
    assert provider.admin("PUT", "/applications/newcomer", {"secret": "hush"}).status == 201
    assert provider.token(client_id="newcomer", client_secret="hush").status == 200


@pytest.mark.parametrize("offset", [-600, -240, 240, 600])
def test_clock_offset_shifts_the_claims_and_not_expires_in(provider: Provider, offset: int) -> None:
    provider.admin("PUT", "/clock", {"offset": offset})
    answer = provider.token().json
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})

    assert answer["expires_in"] == 1200
    assert claims["exp"] - claims["iat"] == 1200
    assert abs(claims["nbf"] - time.time() - offset) < 30


def test_token_lifetime(provider: Provider) -> None:
    provider.admin("PUT", "/token-lifetime", {"seconds": 20})
    answer = provider.token().json
    claims = provider.validated(answer["access_token"])
    assert (answer["expires_in"], claims["exp"] - claims["iat"]) == (20, 20)


def test_rotated_key_leaves_the_key_set(provider: Provider) -> None:
    old = provider.token().json["access_token"]
    provider.admin("POST", "/keys/rotate", {})

    with pytest.raises(KeyError):
        provider.validated(old)
    assert provider.validated(provider.token().json["access_token"])["azp"] == OWNER


def test_rotated_key_can_stay_published(provider: Provider) -> None:
    old = provider.token().json["access_token"]
    provider.admin("POST", "/keys/rotate", {"keep_old": True})
    new = provider.token().json["access_token"]
    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    assert provider.validated(old)["azp"] == provider.validated(new)["azp"] == OWNER


def test_minted_token_is_good_unless_told_otherwise(provider: Provider) -> None:
    minted = provider.admin("POST", "/tokens", {"claims": {"roles": ["DICOM Data Writer"], "azp": None}})
    claims = provider.validated(minted.json["access_token"])
    assert minted.status == 201
    assert claims["roles"] == ["DICOM Data Writer"]
    assert "azp" not in claims


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ({"claims": {"exp": 1}}, jwt.ExpiredSignatureError),
        ({"claims": {"nbf": 4_000_000_000}}, jwt.ImmatureSignatureError),
        ({"claims": {"aud": "https://elsewhere.test"}}, jwt.InvalidAudienceError),
        ({"claims": {"iss": "https://elsewhere.test"}}, jwt.InvalidIssuerError),
        ({"sign_with": "foreign"}, jwt.InvalidSignatureError),
        ({"sign_with": "none", "header": {"kid": None}}, KeyError),
        ({"header": {"kid": "unknown"}}, KeyError),
    ],
)
def test_minted_bad_tokens_fail_for_the_reason_asked(
    provider: Provider, document: dict[str, object], refusal: type[Exception]
) -> None:
    token = provider.admin("POST", "/tokens", document).json["access_token"]
    with pytest.raises(refusal):
        provider.validated(token)


def test_unsigned_token_says_so(provider: Provider) -> None:
    token = provider.admin("POST", "/tokens", {"sign_with": "none"}).json["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == "none"
    assert token.endswith(".")


def test_requests_seen_tell_no_secret(provider: Provider) -> None:
    seen = provider.admin("GET", "/requests").json
    last = seen[-1]["sequence"] if seen else 0
    provider.token()
    provider.token(client_secret="a wrong one")
    answer = provider.admin("GET", f"/requests?since={last}")

    rows = [(row["client_id"], row["form"], row["status"], row["error"]) for row in answer.json]
    assert rows == [(OWNER, "v2", 200, None), (OWNER, "v2", 401, 7000215)]
    text = answer.body.decode() + (provider.folder / "log").read_text()
    assert SECRET not in text
    assert "a wrong one" not in text


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("PUT", "/clock", {}),
        ("PUT", "/clock", {"offset": "soon"}),
        ("PUT", "/token-lifetime", {"seconds": 0}),
        ("PUT", f"/applications/{OWNER}", {"role": []}),
        ("PUT", f"/applications/{OWNER}", {"roles": "one"}),
        ("POST", "/tokens", {"sign_with": "luck"}),
        ("POST", "/tokens", []),
    ],
)
def test_wrong_admin_requests_say_what_is_wrong(
    provider: Provider, method: str, path: str, document: object
) -> None:
    answer = provider.admin(method, path, document)
    assert answer.status == 400
    assert answer.json["error"]


def test_key_is_kept_over_a_restart(tmp_path: Path) -> None:
    folder = tmp_path
    write_files(folder)
    port = free_port()
    first = start(folder, port)
    token = first.token().json["access_token"]
    assert stop(first) == 0

    second = start(folder, port)
    try:
        assert second.validated(token)["aud"] == AUDIENCE
        assert (folder / "keys.json").stat().st_mode & 0o077 == 0
        keys = second.request("GET", f"/{TENANT}/discovery/v2.0/keys").body.decode()
        assert '"d"' not in keys
    finally:
        assert stop(second) == 0
