"""Token requests of applications: both forms, the claims, and each refusal."""
# ruff: noqa: S105, S106 - test secrets and a test address

import base64
import json
import time

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from systems.identity.keys import thumbprint
from tests.identity.conftest import AUDIENCE, NOROLE, OWNER, SECRET, TENANT, VIEWER, Provider


def credential(provider: Provider, secret: str = SECRET) -> ClientSecretCredential:
    return ClientSecretCredential(
        TENANT,
        OWNER,
        secret,
        authority=provider.base,
        disable_instance_discovery=True,
        connection_verify=str(provider.ca),
        retry_total=0,
    )


def test_azure_identity_gets_a_token_that_verifies(provider: Provider) -> None:
    token = credential(provider).get_token(f"{AUDIENCE}/.default")

    claims = provider.validated(token.token)
    assert claims["azp"] == OWNER
    assert claims["oid"] == claims["sub"] == "owner-object"
    assert claims["tid"] == TENANT
    assert claims["ver"] == "2.0"
    assert claims["roles"] == ["DICOM Data Owner"]
    assert claims["iat"] == claims["nbf"] == claims["exp"] - 1200
    assert abs(token.expires_on - time.time() - 1200) < 30


def test_azure_identity_reports_a_wrong_secret(provider: Provider) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential(provider, "wrong").get_token(f"{AUDIENCE}/.default")


def test_v1_form_as_the_router_sends_it(provider: Provider) -> None:
    answer = provider.form(
        "/oauth2/token",
        {
            "grant_type": "client_credentials",
            "client_id": OWNER,
            "client_secret": SECRET,
            "resource": AUDIENCE,
        },
    )

    document = answer.json
    assert answer.status == 200
    assert document["token_type"] == "Bearer"
    assert document["expires_in"] == document["ext_expires_in"] == "1200"
    assert document["resource"] == AUDIENCE
    claims = provider.validated(document["access_token"], "v1")
    assert document["expires_on"] == str(claims["exp"])
    assert claims["appid"] == OWNER
    assert claims["ver"] == "1.0"
    assert "azp" not in claims


def test_v2_answer_has_numbers_and_is_not_cacheable(provider: Provider) -> None:
    answer = provider.token()
    assert answer.json["expires_in"] == answer.json["ext_expires_in"] == 1200
    assert "no-store" in answer.headers["Cache-Control"]


def test_basic_authentication_works_too(provider: Provider) -> None:
    basic = base64.b64encode(f"{OWNER}:{SECRET}".encode()).decode()
    answer = provider.form(
        "/oauth2/v2.0/token",
        {"grant_type": "client_credentials", "scope": f"{AUDIENCE}/.default"},
        {"Authorization": f"Basic {basic}"},
    )
    assert answer.status == 200


def test_application_without_roles_has_no_roles_claim(provider: Provider) -> None:
    answer = provider.token(client_id=NOROLE, client_secret="another secret")
    assert "roles" not in provider.validated(answer.json["access_token"])


@pytest.mark.parametrize(
    ("changes", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": VIEWER}, 401, "invalid_client", 700025),
        ({"client_id": VIEWER, "client_secret": ""}, 401, "invalid_client", 700025),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"client_id": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"scope": ""}, 400, "invalid_request", 900144),
        ({"scope": AUDIENCE}, 400, "invalid_scope", 70011),
        ({"scope": f"{AUDIENCE}/.default openid"}, 400, "invalid_scope", 70011),
        ({"scope": "https://elsewhere.test/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_refusals_have_entra_s_shape(
    provider: Provider, changes: dict[str, str], status: int, error: str, number: int
) -> None:
    answer = provider.token(**changes)

    assert answer.status == status
    assert answer.json["error"] == error
    assert answer.json["error_codes"] == [number]
    assert answer.json["error_description"].startswith(f"AADSTS{number}: ")
    assert "access_token" not in answer.json
    assert SECRET not in answer.body.decode()


def test_v1_without_resource_and_with_another_grant(provider: Provider) -> None:
    fields = {"grant_type": "client_credentials", "client_id": OWNER, "client_secret": SECRET}
    assert provider.form("/oauth2/token", fields).json["error"] == "invalid_request"
    fields["grant_type"] = "authorization_code"
    assert provider.form("/oauth2/token", fields).json["error"] == "unsupported_grant_type"


def test_bodies_that_are_no_single_valued_form(provider: Provider) -> None:
    path = f"/{TENANT}/oauth2/v2.0/token"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    as_json = provider.request("POST", path, json.dumps({}).encode(), {"Content-Type": "application/json"})
    twice = provider.request("POST", path, b"client_id=a&client_id=b", form)
    assert [as_json.status, twice.status] == [400, 400]
    assert as_json.json["error"] == twice.json["error"] == "invalid_request"


def test_unknown_tenant(provider: Provider) -> None:
    answer = provider.request("GET", "/another.test/v2.0/.well-known/openid-configuration")
    assert (answer.status, answer.json["error"]) == (400, "invalid_tenant")


def test_discovery_names_endpoints_as_the_caller_reached_them(provider: Provider) -> None:
    path = f"/{TENANT}/v2.0/.well-known/openid-configuration"
    usual = provider.request("GET", path).json
    through_proxy = provider.request("GET", path, headers={"Host": "link:9443"}).json
    assert usual["token_endpoint"] == f"{provider.base}/{TENANT}/oauth2/v2.0/token"
    assert through_proxy["token_endpoint"] == f"https://link:9443/{TENANT}/oauth2/v2.0/token"
    assert usual["issuer"] == through_proxy["issuer"] == f"{provider.base}/{TENANT}/v2.0"


def test_thumbprint_of_the_example_in_rfc_7638_section_3_1() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    assert (
        thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


def test_key_id_is_the_thumbprint_of_the_published_key(provider: Provider) -> None:
    key = provider.request("GET", f"/{TENANT}/discovery/v2.0/keys").json["keys"][0]
    assert key["kid"] == thumbprint({name: key[name] for name in ("e", "kty", "n")})
