"""Access and ID tokens with the claims Entra ID puts in them (Microsoft: "Access token claims reference")."""

import base64
import hashlib
import json
import uuid
from typing import Any

from systems.identity.config import Application, User
from systems.identity.tenant import Tenant


def application_claims(
    tenant: Tenant, application: Application, audience: str, version: str
) -> dict[str, Any]:
    """Return the claims of an application's own token; `version` is "1.0" or "2.0".

    An application without roles has no `roles` claim, as at Entra ID.
    """
    claims = _common(tenant, application, audience, version)
    claims |= {"oid": application.object_id, "sub": application.object_id, "idtyp": "app"}
    return claims | _roles(application.roles)


def delegated_claims(
    tenant: Tenant, application: Application, user: User, audience: str, scopes: tuple[str, ...]
) -> dict[str, Any]:
    """Return the claims of a user's token got through `application`: the user's roles, never the application's."""
    claims = _common(tenant, application, audience, "2.0")
    claims |= _person(application, user) | {"scp": " ".join(scopes), "idtyp": "user"}
    return claims | _roles(user.roles)


def id_claims(tenant: Tenant, application: Application, user: User, nonce: str) -> dict[str, Any]:
    """Return the claims of an OpenID Connect ID token (OpenID Connect Core section 2)."""
    claims = _common(tenant, application, application.client_id, "2.0")
    for name in ("azp", "azpacr"):
        del claims[name]
    claims |= _person(application, user)
    return claims | ({"nonce": nonce} if nonce else {})


def issue(tenant: Tenant, claims: dict[str, Any]) -> str:
    """Return `claims` signed with the tenant's current key."""
    return tenant.keys.current.sign(claims)


def unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    """Return a token with algorithm `none` (RFC 7519 section 6), which no service may accept."""

    def part(value: dict[str, Any]) -> str:
        text = json.dumps(value, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode("ascii")

    merged = {"alg": "none", "typ": "JWT"} | header
    return f"{part({name: value for name, value in merged.items() if value is not None})}.{part(claims)}."


def _common(tenant: Tenant, application: Application, audience: str, version: str) -> dict[str, Any]:
    now = int(tenant.now())
    proof = "1" if application.secret else "0"
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": tenant.issuer(version),
        "iat": now,
        "nbf": now,
        "exp": now + tenant.token_lifetime,
        "tid": tenant.tenant_id,
        "uti": uuid.uuid4().hex,
        "ver": version,
    }
    if version == "1.0":
        return claims | {"appid": application.client_id, "appidacr": proof, "idp": claims["iss"]}
    return claims | {"azp": application.client_id, "azpacr": proof}


def _person(application: Application, user: User) -> dict[str, Any]:
    # Entra's `sub` differs from application to application, so that two cannot match their users by it.
    pair = hashlib.sha256(f"{user.object_id} {application.client_id}".encode()).digest()
    return {
        "oid": user.object_id,
        "sub": base64.urlsafe_b64encode(pair).rstrip(b"=").decode("ascii"),
        "name": user.display_name,
        "preferred_username": user.name,
    }


def _roles(roles: tuple[str, ...]) -> dict[str, list[str]]:
    return {"roles": list(roles)} if roles else {}
