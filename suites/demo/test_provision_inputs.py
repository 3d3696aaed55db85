"""Inputs that are wrong are named: at the start, or by the connection tests (CLAIM-PROVISION-03)."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from fixtures.deployment.attempt import attempt
from fixtures.traceability import needs, not_applicable, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from fixtures.world.router_file import FILE, edited, require_file, with_keys

pytestmark = pytest.mark.demo

REFUSED, NO_PORT_OR_FOLDER = 2, 3
"""Exit codes of the router's program: a configuration that cannot be used; a port or folder that cannot be had."""
WITHIN_SECONDS = 10


@dataclass(frozen=True)
class WrongInput:
    """An input that cannot be used; `named` is what the message must say of it.

    What is `of_credential` is no input of a router whose cloud asks for no token.
    """

    name: str
    named: str
    change: Callable[[str], str]
    of_credential: bool = False


def _set(key: str, value: str) -> Callable[[str], str]:
    return lambda text: with_keys(text, {key: value})


def _left_out(table: str, key: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        changed = re.sub(
            rf"(^\[+{re.escape(table)}\]+\n(?:(?!\[).*\n)*?){key} = .*\n", r"\1", text, count=1, flags=re.M
        )
        assert changed != text, f"the router's file has no {key} in {table}"
        return changed

    return change


def _other(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        changed = re.sub(old, new, text, count=1, flags=re.MULTILINE)
        assert changed != text, f"the router's file has no {old}"
        return changed

    return change


CREDENTIAL = "cloud.credential"
WRONG_INPUTS = (
    WrongInput("service URL missing", "base_url", _left_out("cloud", "base_url")),
    WrongInput("service URL empty", "base_url", _set("cloud.base_url", '""')),
    WrongInput("service URL malformed", "base_url", _set("cloud.base_url", '"htps:/cloud"')),
    WrongInput("API version unknown", "version", _set("cloud.version", '"v9"')),
    WrongInput("token URL missing", "token_url", _left_out(CREDENTIAL, "token_url"), True),
    WrongInput("token URL without a host", "token_url", _set(f"{CREDENTIAL}.token_url", '"https://"'), True),
    WrongInput(
        "tenant no GUID", "token_url", _other(r"(token_url = \"https://[^/]+/)[^/]+", r"\1tenant"), True
    ),
    WrongInput("client ID missing", "client_id", _left_out(CREDENTIAL, "client_id"), True),
    WrongInput("client ID empty", "client_id", _set(f"{CREDENTIAL}.client_id", '""'), True),
    WrongInput("client ID no GUID", "client_id", _set(f"{CREDENTIAL}.client_id", '"router-app"'), True),
    WrongInput("secret missing", "secret", _left_out(CREDENTIAL, "secret_file"), True),
    WrongInput(
        "AE title of 17 characters", "ae_title", _set("paths.modality-intake.ae_title", f'"{"A" * 17}"')
    ),
    WrongInput("AE title empty", "ae_title", _set("paths.cloud-bridge.ae_title", '""')),
    WrongInput("port out of range", "port", _set("paths.modality-intake.port", "70000")),
    WrongInput("port no number", "port", _set("paths.cloud-bridge.port", '"dicom"')),
    WrongInput("PACS's host missing", "host", _left_out("peers", "host")),
    WrongInput("data folder missing", "data", _left_out("router", "data")),
    WrongInput("admin token missing", "token", _left_out("admin", "token_env")),
    WrongInput("unknown key", "no_such_key", _set("cloud.no_such_key", "1")),
)


AT_START = ("service URL malformed", "client ID no GUID", "AE title of 17 characters")
"""Those that are tried at a start, too: each of these costs a process."""


@requirement("CLAIM-PROVISION-03", "ROUTER-008")
@needs("control")
def test_wrong_input_is_refused_at_the_start_and_named(world: World) -> None:
    """Wrong inputs of each kind end the router's start with exit code 2 and one line that names the input, without a secret.

    CLAIM-PROVISION-03: on the ports and the folder of the running router, so a start that got as far as using them would
    end with 3, as it does with the right inputs.
    """
    require_file(world.deployment)
    spec = world.control.change("router", lambda described: described)
    text, secrets = spec.files[FILE].decode(), _secrets(world)
    right = attempt(world.deployment, spec, spec.files, spec.environment)
    assert right.exit_code == NO_PORT_OR_FOLDER, f"with the right inputs: {right}"
    tried = [
        (wrong.name, wrong.named, wrong.change, "") for wrong in _inputs(world) if wrong.name in AT_START
    ]
    tried.append(("admin token not there", "token_env", lambda text: text, "ROUTER_ADMIN_TOKEN"))
    slowest = 0.0
    for name, named, change, without in tried:
        environment = {key: value for key, value in spec.environment.items() if key != without}
        files = {**spec.files, FILE: change(text).encode()}
        seen = attempt(world.deployment, spec, files, environment, within=WITHIN_SECONDS)
        assert seen.exit_code == REFUSED, f"{name}: exit code {seen.exit_code}, {seen.said!r}"
        (line,) = seen.said.strip().splitlines()
        assert named in line, f"{name}: {named!r} is not named in {line!r}"
        shown = [what for what, value in secrets.items() if value in seen.said]
        assert not shown, f"{name}: the message shows {shown}"
        slowest = max(slowest, seen.seconds)
    assert world.modality().echo(world.intake).succeeded, "the running router was disturbed"
    world.evidence.figure("slowest refusal", round(slowest, 1), "s")
    world.evidence.note(
        f"{len(tried)} kinds of wrong inputs were refused at the start, each with one line that names the input and no secret."
    )


@requirement("CLAIM-PROVISION-03", "ROUTER-008")
@needs("control")
def test_every_wrong_input_is_named_when_it_is_loaded(world: World) -> None:
    """Each input missing, empty or malformed is refused by name, by the validation that a start begins with.

    CLAIM-PROVISION-03: asked of the running router, which goes on as it was.
    """
    shown = world.router.config()
    for wrong in _inputs(world):
        with edited(world.deployment, wrong.change):
            answer = world.router.http.request("POST", "/config/load?dry_run=true")
        said = answer.body.decode()
        assert answer.status == 400, f"{wrong.name}: answered {answer.describe()}"
        assert wrong.named in said, f"{wrong.name}: {wrong.named!r} is not named in {said!r}"
        assert not [what for what, value in _secrets(world).items() if value in said]
    assert world.router.config() == shown
    world.evidence.note(
        f"{len(_inputs(world))} wrong inputs were named: {', '.join(w.name for w in _inputs(world))}."
    )


def _inputs(world: World) -> list[WrongInput]:
    return [wrong for wrong in WRONG_INPUTS if world.asks_for_tokens or not wrong.of_credential]


State = Callable[[World], AbstractContextManager[object]]
NEEDS_NETWORK: dict[str, tuple[State, str, str]] = {
    "wrong secret": (lambda world: world.secret_changed("router"), "oauth", "invalid_client"),
    "unknown client": (lambda world: world.disabled("router"), "oauth", "client"),
    "principal without a role": (lambda world: world.roles_of("router"), "cloud-qido", "403"),
    "service that cannot be reached": (
        lambda world: world.cut("refuse"),
        "cloud-qido",
        "reach|connect|refuse|reset",
    ),
}
"""How it comes about, the connection test that fails, and what that has to say."""
OF_CREDENTIAL = frozenset({"wrong secret", "unknown client", "principal without a role"})


@requirement("CLAIM-PROVISION-03", "ROUTER-009", "ROUTER-189")
@needs("link", "identity-admin", "http-interposer")
@pytest.mark.parametrize("name", NEEDS_NETWORK)
def test_what_needs_the_network_is_named_while_the_intake_goes_on(world: World, name: str) -> None:
    """Objects are taken and kept, readiness names the destination that is away, the connection test names the answer.

    CLAIM-PROVISION-03: all of it is delivered once the input is right.
    """
    if name in OF_CREDENTIAL and not world.asks_for_tokens:
        not_applicable(
            "the cloud asks for no token, so the router has no credential that could be wrong",
            probe="the profile's cloud is an Orthanc",
        )
    state, test, answer = NEEDS_NETWORK[name]
    study = world.series(instances=2, matrix=16)
    world.renew_router_token()
    with state(world):
        if test == "oauth":
            # The router goes on with the token it has: a wrong registration shows when that one ends.
            world.renew_router_token()
        assert world.send([study], "intake").all_success, f"{name} stopped the intake"
        world.expect("pacs", [study])
        tested = world.connection_tests()[test]
        assert not tested.passed, f"{name}: looks healthy"
        assert re.search(answer, tested.detail, re.IGNORECASE), f"{name}: {tested.detail}"
        assert not [v for v in _secrets(world).values() if v in tested.detail]
        ready = world.router.ready()
        assert ready.status == 200, "not ready to take objects, though it could"
        assert world.held("cloud", [study]) == set()
        assert world.backlog("cloud") == 2
        assert _away(world) == ["cloud"]
    world.router.wake("cloud")
    world.expect_both([study])
    world.expect_created_once([study])
    assert world.connection_tests()[test].passed
    world.evidence.note(f"{name}: the intake went on, and the test {test} said: {tested.detail}")


def _away(world: World) -> list[str]:
    return eventually(
        lambda: world.router.ready().json()["waiting_for"],
        within=world.bounds.settle,
        because="the readiness to name the destination that is away",
    )


def _secrets(world: World) -> dict[str, str]:
    deployed = world.deployment
    return {
        "the client secret": deployed.identity.applications["router"].secret,
        "the admin token": deployed.router.admin_token,
        "the PACS password": deployed.pacs.password,
    }
