"""Errors as Entra ID answers them: OAuth 2.0 error codes (RFC 6749 section 5.2) with a numbered AADSTS text.

Numbers and OAuth codes follow Microsoft's "Entra authentication and authorization error codes"; the sentences are ours.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class EntraError(Exception):
    """A refused request: HTTP status, OAuth error code, AADSTS number and a sentence without secrets."""

    status: int
    error: str
    number: int
    sentence: str

    def document(self, now: float) -> dict[str, Any]:
        """Return the JSON answer; `now` is the identity provider's clock in epoch seconds."""
        timestamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.number}: {self.sentence} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {timestamp}",
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }


def missing_parameter(name: str) -> EntraError:
    """A required form field is absent."""
    return EntraError(400, "invalid_request", 900144, f"The request has no parameter '{name}': send it.")


def repeated_parameter(name: str) -> EntraError:
    """A form field occurs more than once (RFC 6749 section 3.2)."""
    return EntraError(
        400, "invalid_request", 90100, f"The parameter '{name}' occurs more than once: send it once."
    )


def malformed(what: str) -> EntraError:
    """The request cannot be read."""
    return EntraError(400, "invalid_request", 9002313, f"The request cannot be read: {what}.")


def unknown_tenant() -> EntraError:
    """The path names another tenant than the one served."""
    return EntraError(
        400, "invalid_tenant", 90002, "This server has no such tenant: check the tenant id in the path."
    )


def unsupported_grant() -> EntraError:
    """The grant type is not offered at this endpoint."""
    return EntraError(400, "unsupported_grant_type", 70003, "This endpoint does not offer that grant_type.")


def unknown_application() -> EntraError:
    """No application has this client id."""
    return EntraError(400, "unauthorized_client", 700016, "No application of the tenant has this client_id.")


def disabled_application() -> EntraError:
    """The application is registered and switched off."""
    return EntraError(400, "unauthorized_client", 7000112, "The application is disabled: enable it again.")


def no_credential() -> EntraError:
    """A confidential application did not say how it proves itself."""
    return EntraError(401, "invalid_client", 7000218, "The application must send its client_secret.")


def wrong_secret() -> EntraError:
    """The secret is not the application's."""
    return EntraError(
        401, "invalid_client", 7000215, "The client secret is wrong: send the secret's value, not its id."
    )


def public_application() -> EntraError:
    """A public client asked for a grant that needs a secret, or sent one."""
    return EntraError(401, "invalid_client", 700025, "The application is public and has no secret.")


def unknown_resource() -> EntraError:
    """The token is asked for an audience that the tenant does not have."""
    return EntraError(
        400, "invalid_resource", 500011, "The tenant has no resource of this name: check resource or scope."
    )


def invalid_scope(sentence: str) -> EntraError:
    """The scope has not the form the grant needs."""
    return EntraError(400, "invalid_scope", 70011, sentence)


def invalid_grant(sentence: str, number: int = 70008) -> EntraError:
    """A code, refresh token or verifier is wrong, used up or too old."""
    return EntraError(400, "invalid_grant", number, sentence)


def bad_redirect() -> EntraError:
    """The redirect URI is not registered."""
    return EntraError(
        400, "invalid_request", 50011, "The redirect_uri is not registered for the application."
    )


def authorization_pending() -> EntraError:
    """The person has not signed in yet (RFC 8628 section 3.5)."""
    return EntraError(
        400, "authorization_pending", 70016, "Nobody has signed in with the user code yet: ask again."
    )


def expired_device_code() -> EntraError:
    """The device code is unknown or too old (RFC 8628 section 3.5)."""
    return EntraError(400, "expired_token", 70020, "The device code is unknown or has expired: start again.")
