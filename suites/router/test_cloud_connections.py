"""The router's HTTP connections to the cloud: redirects, reuse and the API version (ROUTER-127, 128)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.world import World
from suites.router.clients import shown
from suites.router.conftest import VariantWorld
from suites.router.settings import STRICT

pytestmark = pytest.mark.router


@requirement("ROUTER-127")
@needs("http-interposer")
def test_redirect_to_another_host_is_not_followed(world: World) -> None:
    """A redirect is no success, and the host it names hears nothing, so no credentials reach it."""
    study = world.series(instances=1)
    heard: list[bytes] = []
    with _listening(world, heard) as url:
        redirect = link.respond(307, "", {"Location": f"{url}/v2/studies"})
        with world.cloud_answers(Rule("redirect", redirect, Match(method="POST", times=4))):
            answer = world.send([study], "bridge").outcomes[0]
    assert answer.status not in (0x0000, 0xB000, 0xB006, 0xB007), f"ROUTER-127: {shown(answer.status)}"
    assert heard == [], "ROUTER-127: the redirect was followed to another host"
    assert world.send([study], "bridge").all_success
    world.expect("cloud", [study])


@contextmanager
def _listening(world: World, heard: list[bytes]) -> Iterator[str]:
    """A host of the test's own, which the router can reach as it reaches the workstation."""
    bind, reached = world.deployment.workstation_bind, world.deployment.workstation
    with socket.create_server((bind.host, bind.port)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    heard.append(connection.recv(4096))

        thread = threading.Thread(target=serve, name="other host", daemon=True)
        thread.start()
        try:
            yield f"http://{reached.host}:{reached.port}"
        finally:
            ended.set()
            thread.join()


@requirement("ROUTER-127")
@needs("link")
def test_connections_are_reused(world: World) -> None:
    """Thirty stores in a row need far fewer connections than requests."""
    study = world.series(instances=30, matrix=16)
    before = int(world.link.routes()["cloud"]["connections"])
    assert world.send([study], "bridge").all_success
    opened = int(world.link.routes()["cloud"]["connections"]) - before
    assert opened <= 8, f"ROUTER-127: {opened} new connections for 30 stores"
    world.expect("cloud", [study])


@requirement("ROUTER-128")
@needs("http-interposer", "control")
@pytest.mark.parametrize("version", ["v2", "v1"])
def test_version_segment_is_a_setting(world: World, variant_world: VariantWorld, version: str) -> None:
    """Store, search and retrieval go to the configured version of the API."""
    if version == "v2":
        _uses_version(world, version)
    else:
        with variant_world(STRICT) as strict:
            _uses_version(strict, version)


def _uses_version(world: World, version: str) -> None:
    study = world.series(instances=1)
    mark = world.link_mark()
    assert world.send([study], "intake").all_success
    world.expect("cloud", [study])
    assert world.move_through_bridge("STUDY", study).status == 0x0000
    paths = {e.path for e in world.link_since(mark)}
    assert len(paths) >= 3, paths
    assert all(path.startswith(f"/{version}/") for path in paths), f"ROUTER-128: {sorted(paths)}"
