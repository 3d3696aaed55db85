"""The DICOM service under test, as each of its callers sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.identity import IdentityAdmin, TokenSource
from fixtures.deployment.deployment import Deployment
from fixtures.evidence.exchange import Recorder
from fixtures.traceability.verdicts import not_applicable

VERSIONS = ("v1", "v2")


@dataclass
class Service:
    """One deployment of the service. Clients are made once and kept: they hold connections and tokens."""

    deployment: Deployment
    recorder: Recorder
    settle: float = 30.0
    """Seconds until the change feed has what was stored (the profile's bound)."""
    _https: dict[str, HttpClient] = field(default_factory=dict)

    @cached_property
    def anonymous(self) -> HttpClient:
        """The service without a token; paths begin with the version segment."""
        cloud = self.deployment.cloud
        return HttpClient(cloud.url, recorder=self.recorder, ca_file=cloud.ca_file, timeout=60.0)

    def http(self, application: str = "owner") -> HttpClient:
        """The service as `owner`, `reader`, `writer`, `router` or `norole`; paths begin with the version segment."""
        if application not in self._https:
            self._https[application] = self.anonymous.with_token(self.tokens(application))
        return self._https[application]

    def web(self, application: str = "owner", version: str = "v2") -> DicomWeb:
        """The DICOMweb client of an application for one API version; `anonymous` sends no token."""
        http = self.anonymous if application == "anonymous" else self.http(application)
        return DicomWeb(http, version=version)

    def with_token(self, token: str | Callable[[], str], version: str = "v2") -> DicomWeb:
        """The DICOMweb client with this very token."""
        source = token if callable(token) else lambda: token
        return DicomWeb(self.anonymous.with_token(source), version=version)

    def tokens(self, application: str) -> TokenSource:
        """Tokens of a registered application; not applicable where the profile registers none of that name."""
        identity, audience = self.deployment.identity, self.deployment.cloud.audience
        if application not in identity.applications:
            known = ", ".join(sorted(identity.applications)) or "none"
            not_applicable(
                f"nobody can sign in as {application!r} here", probe=f"the profile registers {known}"
            )
        return TokenSource(identity, identity.applications[application], audience=audience)

    @cached_property
    def identity_http(self) -> HttpClient:
        """The identity provider."""
        identity = self.deployment.identity
        return HttpClient(identity.authority, recorder=self.recorder, ca_file=identity.ca_file)

    @cached_property
    def identity_admin(self) -> IdentityAdmin:
        """The admin interface of the identity stand-in; tests that use it need `identity-admin`."""
        identity = self.deployment.identity
        key = ("X-Admin-Key", identity.admin_key)
        return IdentityAdmin(
            HttpClient(identity.authority, recorder=self.recorder, ca_file=identity.ca_file, headers=[key])
        )
