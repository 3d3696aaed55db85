"""What each grant type of the token endpoints checks and answers (RFC 6749 sections 4.1, 4.4, 6; RFC 8628)."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from systems.identity import errors, tokens
from systems.identity.config import Application, User
from systems.identity.sessions import Session, Sessions
from systems.identity.tenant import Tenant

_OIDC_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_PERMISSION = "user_impersonation"

Fields = Mapping[str, str]
Answer = dict[str, Any]


def client_credentials_v1(tenant: Tenant, fields: Fields) -> Answer:
    """Answer the v1 form (`resource`): times and lives are texts, and the resource is repeated. Raises `EntraError`."""
    application = _confidential(tenant, fields)
    audience = _audience(tenant, _required(fields, "resource"))
    claims = tokens.application_claims(tenant, application, audience, "1.0")
    return {
        "token_type": "Bearer",
        "expires_in": str(tenant.token_lifetime),
        "ext_expires_in": str(tenant.token_lifetime),
        "expires_on": str(claims["exp"]),
        "not_before": str(claims["nbf"]),
        "resource": audience,
        "access_token": tokens.issue(tenant, claims),
    }


def client_credentials_v2(tenant: Tenant, fields: Fields) -> Answer:
    """Answer the v2 form (`scope` = audience + `/.default`). Raises `EntraError`."""
    application = _confidential(tenant, fields)
    scope = _required(fields, "scope")
    resource, _, permission = scope.rpartition("/")
    if permission != ".default" or not resource or " " in scope:
        raise errors.invalid_scope(
            "For client credentials the scope is one resource followed by '/.default'."
        )
    claims = tokens.application_claims(tenant, application, _audience(tenant, resource), "2.0")
    return _bearer(tenant, tokens.issue(tenant, claims))


def authorization_code(tenant: Tenant, sessions: Sessions, fields: Fields) -> Answer:
    """Exchange a code of the sign-in page, with its PKCE verifier (RFC 7636). Raises `EntraError`."""
    application = tenant.authenticate(_required(fields, "client_id"), fields.get("client_secret", ""))
    session = sessions.redeem_code(_required(fields, "code"))
    if session is None or session.client_id != application.client_id:
        raise errors.invalid_grant("The code is unknown, used up or older than ten minutes: sign in again.")
    if session.redirect_uri != fields.get("redirect_uri", ""):
        raise errors.invalid_grant("The redirect_uri is not the one the code was sent to.", 501131)
    verifier = _required(fields, "code_verifier")
    if not hmac.compare_digest(challenge(verifier), session.code_challenge):
        raise errors.invalid_grant("The code_verifier does not match the code_challenge.", 501481)
    return delegated(tenant, sessions, application, session)


def refresh_token(tenant: Tenant, sessions: Sessions, fields: Fields) -> Answer:
    """Exchange a refresh token; it is replaced by a new one. Raises `EntraError`."""
    application = tenant.authenticate(_required(fields, "client_id"), fields.get("client_secret", ""))
    session = sessions.redeem_refresh(_required(fields, "refresh_token"))
    if session is None or session.client_id != application.client_id:
        raise errors.invalid_grant("The refresh token is unknown or used up: sign in again.", 700082)
    return delegated(tenant, sessions, application, session)


def device_code(tenant: Tenant, sessions: Sessions, fields: Fields) -> Answer:
    """Answer a device that waits for its user (RFC 8628 section 3.4). Raises `EntraError`."""
    application = tenant.authenticate(_required(fields, "client_id"), fields.get("client_secret", ""))
    device = sessions.device(_required(fields, "device_code"))
    if device is None or device.client_id != application.client_id:
        raise errors.expired_device_code()
    if device.session is None:
        raise errors.authorization_pending()
    sessions.end_device(device)
    return delegated(tenant, sessions, application, device.session)


def delegated(tenant: Tenant, sessions: Sessions, application: Application, session: Session) -> Answer:
    """Return the tokens of a signed-in user, with the roles the user has now. Raises `EntraError`."""
    user = _still_there(tenant, session)
    audience, permissions = resource_scopes(tenant, session.scope)
    claims = tokens.delegated_claims(tenant, application, user, audience, permissions)
    answer = _bearer(tenant, tokens.issue(tenant, claims))
    answer["scope"] = " ".join(f"{audience}/{permission}" for permission in permissions)
    asked = session.scope.split()
    if "openid" in asked:
        answer["id_token"] = tokens.issue(tenant, tokens.id_claims(tenant, application, user, session.nonce))
    if "offline_access" in asked:
        answer["refresh_token"] = sessions.new_refresh(session)
    return answer


def resource_scopes(tenant: Tenant, scope: str) -> tuple[str, tuple[str, ...]]:
    """Return audience and permissions a delegated `scope` asks for. Raises `EntraError` unless it is one resource's."""
    wanted = [item for item in scope.split() if item not in _OIDC_SCOPES]
    parted = [item.rpartition("/") for item in wanted]
    resources = {resource.rstrip("/") for resource, _, _ in parted}
    if len(resources) != 1 or "" in resources:
        raise errors.invalid_scope(
            "A user's scope names permissions of exactly one resource, as in RESOURCE/.default."
        )
    permissions = (DEFAULT_PERMISSION if name == ".default" else name for _, _, name in parted)
    return _audience(tenant, resources.pop()), tuple(dict.fromkeys(permissions))


def challenge(verifier: str) -> str:
    """Return the S256 code challenge of a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _confidential(tenant: Tenant, fields: Fields) -> Application:
    application = tenant.authenticate(_required(fields, "client_id"), fields.get("client_secret", ""))
    if not application.secret:
        raise errors.public_application()
    return application


def _still_there(tenant: Tenant, session: Session) -> User:
    user = tenant.user(session.user_name)
    if user is None:
        raise errors.invalid_grant("The user no longer exists.", 50034)
    return user


def _audience(tenant: Tenant, resource: str) -> str:
    audience = resource.rstrip("/")
    if audience not in tenant.audiences:
        raise errors.unknown_resource()
    return audience


def _required(fields: Fields, name: str) -> str:
    value = fields.get(name, "")
    if not value:
        raise errors.missing_parameter(name)
    return value


def _bearer(tenant: Tenant, token: str) -> Answer:
    return {
        "token_type": "Bearer",
        "expires_in": tenant.token_lifetime,
        "ext_expires_in": tenant.token_lifetime,
        "access_token": token,
    }
