"""Identity: the token travels over verified connections only (CLAIM-AUTH-07)."""

import datetime as dt
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import trustme

from fixtures.clients import link
from fixtures.clients.link import Rule
from fixtures.deployment.credentials import authority
from fixtures.deployment.router_config import toml
from fixtures.deployment.spec import SystemSpec
from fixtures.faults.false_server import FalseServer, wrong_certificates
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.world import World
from fixtures.world.outcomes import NO_RESOURCES
from suites.demo.answers import is_failure

pytestmark = pytest.mark.demo

NAMES = ("127.0.0.1", "localhost", "link")
"""How the systems call the link, by runner."""
FILE = "link.toml"


@requirement("CLAIM-AUTH-07")
@needs("control", "link", "router-admin")
@pytest.mark.lasting(8)
def test_wrong_certificate_gets_no_token(world: World) -> None:
    """A server in the cloud's place, unknown, misnamed or expired, gets no request at all; with a right certificate it would.

    CLAIM-AUTH-07: the router's half; a browser verifies for the viewer.
    """
    if not world.asks_for_tokens:
        not_applicable(
            "the cloud asks for no token, so the router has none to keep",
            probe="the profile's cloud is an Orthanc",
        )
    before, refused, queued = world.sized_studies(count=3, instances=1, matrix=16)
    assert world.send([before], "bridge").all_success
    with _cloud_replaced(world) as false:
        certificates = wrong_certificates(_authority(world), *NAMES, now=dt.datetime.now(dt.UTC))
        for wrong, certificate in certificates.items():
            false.show(certificate)
            assert world.send([refused], "bridge").statuses == [NO_RESOURCES], wrong
            assert false.connections, "nobody came, so nothing was shown"
            assert false.heads == [], (
                f"a server with a certificate {wrong} was sent {len(false.heads)} requests"
            )
            tested = world.connection_tests()
            for name in ("oauth", "cloud-qido"):
                assert not tested[name].passed, f"{name} trusts a certificate {wrong}"
                assert "certificate" in tested[name].detail.lower(), f"{wrong}: {tested[name].detail}"
            assert false.heads == [], f"the connection test sent {len(false.heads)} requests: {wrong}"
        assert world.send([queued], "intake").all_success
        world.expect("pacs", [queued])
        assert false.heads == []
        false.show(_authority(world).issue_cert(*NAMES))
        assert world.send([refused], "bridge").statuses == [NO_RESOURCES]
        assert false.authorised_heads, "not even a right certificate got the token, so nothing was shown"
    world.expect("cloud", [before, queued])
    assert world.send([refused], "bridge").all_success
    world.expect("cloud", [before, queued, refused])
    assert world.dead_letters() == []
    world.evidence.note(
        f"A server in the cloud's place with a certificate {', '.join(certificates)}: connections broken off, no request, no token, "
        "the failure named as the certificate's; with the right one everything waiting was delivered."
    )


@requirement("CLAIM-AUTH-07")
@needs("http-interposer", "router-admin")
def test_redirect_to_another_host_is_not_followed(world: World) -> None:
    """Answered with a redirect to a host with a good certificate, the router asks nobody there and says that it failed.

    CLAIM-AUTH-07.
    """
    study, waiting = world.sized_studies(count=2, instances=1, matrix=16)
    host = world.deployment.workstation.host
    with FalseServer(world.deployment.workstation_bind.host) as other:
        other.show(_authority(world).issue_cert(host, world.deployment.workstation_bind.host))
        _expect_reachable(world, other)
        target = f"https://{host}:{other.port}/{world.deployment.cloud.version}/studies"
        with world.cloud_answers(Rule("redirected", link.respond(307, headers={"Location": target}))):
            (status,) = world.send([study], "bridge").statuses
            assert status not in (None, 0x0000, 0xB000, 0xB006, 0xB007), f"answered {status}"
            found = world.find_through_bridge("STUDY", study)
            assert is_failure(found), found.describe()
            assert world.send([waiting], "intake").all_success
            world.expect("pacs", [waiting])
        assert other.connections == 0, f"the redirect was followed: {other.heads}"
    assert world.send([study], "bridge").all_success
    world.expect("cloud", [study])
    _recover(world, waiting.instances[0].sop_instance_uid)
    world.expect("cloud", [study, waiting])
    world.evidence.note(
        f"Redirected to another host: store {status:04X} and query {found.status or 0:04X}, nobody was asked there."
    )


def _recover(world: World, uid: str) -> None:
    """An object that was refused for good is the operator's to send again."""
    for row in world.router.dead_letters():
        if row["sop_instance_uid"] == uid:
            world.router.retry(row["id"])


def _expect_reachable(world: World, other: FalseServer) -> None:
    host = world.deployment.workstation_bind.host
    http = world.http(f"https://{host}:{other.port}", ca_file=world.deployment.cloud.ca_file)
    assert http.request("GET", "/").status == 503, (
        "the other host cannot be reached, so nothing would be shown"
    )
    http.close()
    other.show(_authority(world).issue_cert(world.deployment.workstation.host, host))


def _authority(world: World) -> trustme.CA:
    return authority(world.deployment.run_dir)


@contextmanager
def _cloud_replaced(world: World) -> Iterator[FalseServer]:
    """Let the link lead to a server of the harness in the place of cloud and identity provider."""
    with FalseServer(world.deployment.workstation_bind.host) as false:
        target = f"{world.deployment.workstation.host}:{false.port}"

        def changed(spec: SystemSpec) -> SystemSpec:
            text = _leading_to(spec.files[FILE].decode(), target)
            return replace(spec, files={**spec.files, FILE: text.encode("ascii")})

        before = world.control.change("link", changed)
        try:
            world.start("link", wipe=True)
            yield false
        finally:
            world.control.change("link", lambda _: before)
            world.start("link", wipe=True)


def _leading_to(text: str, target: str) -> str:
    """The link's file with both routes to the cloud passing all bytes on to another target."""
    known = tomllib.loads(text)
    lines = [f"{name} = {toml(value)}" for name, value in known.items() if isinstance(value, str)]
    for route in known["routes"]:
        passed = {key: route[key] for key in ("name", "mode", "listen", "target")}
        if route["name"] in ("cloud", "identity"):
            passed |= {"mode": "tcp", "target": target}
        lines += ["", "[[routes]]", *(f"{key} = {toml(value)}" for key, value in passed.items())]
    return "\n".join([*lines, ""])
