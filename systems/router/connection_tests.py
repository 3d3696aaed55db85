"""Connection tests for operators: verdicts with reasons, never a token (ROUTER-009)."""

import uuid
from typing import Any

from systems.router.cloud.errors import CloudError
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.tokens import ClientCredentials, TokenSource
from systems.router.config.model import Config, Peer
from systems.router.dimse.client import Association
from systems.router.dimse.errors import DimseError
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.uids import VERIFICATION
from systems.router.peers import peer_tls


async def run_all(config: Config, tokens: TokenSource, http: CloudHttp) -> list[dict[str, Any]]:
    """`oauth`, `cloud-qido` and `echo-<AE>` for each peer, as `{"name", "passed", "detail"}`."""
    results = [await oauth(tokens), await cloud_qido(http)]
    results += [await echo(config, peer) for peer in config.peers]
    return results


async def oauth(tokens: TokenSource) -> dict[str, Any]:
    """A new token from the identity service."""
    if not isinstance(tokens, ClientCredentials):
        return _result("oauth", passed=True, detail="no credential is configured, none is needed")
    try:
        return _result("oauth", passed=True, detail=await tokens.test())
    except CloudError as error:
        return _result("oauth", passed=False, detail=str(error))


async def cloud_qido(http: CloudHttp) -> dict[str, Any]:
    """An authenticated search that matches nothing."""
    path = f"/studies?StudyInstanceUID=2.25.{uuid.uuid4().int}&limit=1"
    try:
        answer = await http.request("GET", path, headers={"Accept": "application/dicom+json"})
    except CloudError as error:
        return _result("cloud-qido", passed=False, detail=str(error))
    return _result("cloud-qido", passed=answer.status in (200, 204), detail=f"HTTP {answer.status}")


async def echo(config: Config, peer: Peer) -> dict[str, Any]:
    """C-ECHO to a peer."""
    name = f"echo-{peer.ae_title}"
    timers = config.timers
    limits = ClientTimeouts(
        timers.association_request_seconds, timers.association_request_seconds, timers.communication_seconds
    )
    try:
        association = await Association.connect(
            peer.host,
            peer.port,
            calling_ae=config.pacs_bridge.calling_ae_title,
            called_ae=peer.ae_title,
            contexts=[ProposedContext(VERIFICATION)],
            timeouts=limits,
            tls=peer_tls(peer),
        )
        status = await association.c_echo()
        await association.release()
    except DimseError as error:
        return _result(name, passed=False, detail=str(error))
    return _result(name, passed=status.is_success, detail=f"status {status}")


def _result(name: str, *, passed: bool, detail: str) -> dict[str, Any]:
    return {"name": name, "passed": passed, "detail": detail}
