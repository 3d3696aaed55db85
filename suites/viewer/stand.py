"""What a test of the viewer holds in its hands: a cloud with its viewer, and ways to read and to fill it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.identity import TokenSource
from fixtures.data import Instance, Run, Study
from fixtures.deployment.deployment import Deployment
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.truth import CloudTruth
from fixtures.viewer.ready import hosts_of

_AT_ONCE = 40
"""Instances of one store request."""


@dataclass
class Stand:
    """One deployment with a viewer, and the run under whose names its studies lie."""

    deployment: Deployment
    run: Run
    recorder: Recorder = field(default_factory=Recorder)

    @cached_property
    def anonymous(self) -> HttpClient:
        """The DICOM service without a token."""
        cloud = self.deployment.cloud
        return HttpClient(cloud.url, recorder=self.recorder, ca_file=cloud.ca_file, timeout=60.0)

    @cached_property
    def token(self) -> TokenSource:
        """Tokens of the owner."""
        deployment = self.deployment
        owner = deployment.identity.applications["owner"]
        return TokenSource(deployment.identity, owner, audience=deployment.cloud.audience)

    @cached_property
    def web(self) -> DicomWeb:
        """The DICOM service as its owner."""
        return DicomWeb(self.anonymous.with_token(self.token), version=self.deployment.cloud.version)

    @cached_property
    def truth(self) -> CloudTruth:
        """What the cloud really holds."""
        return CloudTruth(self.web)

    @property
    def hosts(self) -> set[str]:
        """The hosts that a browser may speak to: viewer, DICOM service and identity provider."""
        return hosts_of(self.deployment)

    def store(self, studies: Iterable[Study]) -> None:
        """Store studies in the cloud, past router and link."""
        waiting = [instance for study in studies for instance in study.instances]
        for begin in range(0, len(waiting), _AT_ONCE):
            self._store(waiting[begin : begin + _AT_ONCE])

    def _store(self, instances: list[Instance]) -> None:
        answer = self.web.store(instances)
        assert answer.status == 200, (
            f"the cloud answered the store of {len(instances)} instances with {answer.status}"
        )

    def clear(self) -> None:
        """Delete every study that the cloud holds."""
        for study in self.truth.study_uids():
            assert self.web.delete(study).status == 204
