"""`make up` and `make stop`: the whole demo in containers, to play with by hand (docs/playing.md).

Beside these, for the walk: `.local/venv/bin/python -m tools.play send | status | cut | heal`.
"""

import argparse
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence

from azure.core.exceptions import AzureError
from docker.errors import APIError

from fixtures.actors.modality import Modality
from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.identity import TokenSource
from fixtures.clients.link import LinkControl
from fixtures.clients.orthanc import Orthanc, basic_credentials
from fixtures.clients.router import RouterAdmin
from fixtures.data import Run, make_cast
from fixtures.deployment.errors import SetupProblem
from fixtures.deployment.reference import Plan
from fixtures.evidence.exchange import Recorder
from tools import play_engine
from tools.common import CHECKOUT, Stop, main_of, say
from tools.play_plan import FOLDER, PASSWORDS, WORKSTATION_PORT, known_plan, prepared_plan

INTERNET = ("cloud", "identity")
"""The routes of the link that a cut of the internet takes; the third one, to the archive, is inside the hospital."""
PROGRAM = ".local/venv/bin/python -m tools.play"
_TIMEOUT = 10.0


def guide(plan: Plan) -> str:
    """Return addresses, sign-ins and the walk. No secret is in it."""
    pacs, router, cloud, identity = plan.pacs(), plan.router(), plan.cloud(), plan.identity()
    passwords = (FOLDER / PASSWORDS).relative_to(CHECKOUT)
    ca_file = (FOLDER / "ca.pem").relative_to(CHECKOUT)
    return f"""
The demo is up. It answers on this machine only.

  archive     {pacs.http_url}                 sign in as {pacs.username} (pacs_password)
              {pacs.dicom}
  viewer      {plan.viewer_endpoint().url}                sign in as {plan.viewer_endpoint().username} (reader_password)
  router      {router.intake}       what is sent here goes to archive and cloud
              {router.bridge}      what is asked here is asked of the cloud
              {router.admin_url}/status          (router_token)
  DICOM       {cloud.url}/{cloud.version}             tokens of {identity.authority}/{identity.tenant}
  link        {plan.link().control_url}/routes          (link_key)
  you         WORKSTATION, port {WORKSTATION_PORT}: what the router is told to move to you

Passwords and keys, by the names in brackets: {passwords}
The browser has to trust {ca_file}; or open {cloud.url}, {identity.authority} and the viewer once and accept each.

Two minutes:
  1. {PROGRAM} send      a modality sends a study to the router
  2. See it in the archive and, signed in, in the viewer.
  3. {PROGRAM} cut       the internet is gone
  4. {PROGRAM} send      taken all the same: it is in the archive, not in the viewer
     {PROGRAM} status    and waits at the router for the cloud
  5. {PROGRAM} heal      seconds later the viewer lists it (reload the list)

End it with `make stop`; the data stays for the next `make up`. More: docs/playing.md
"""


def up(arguments: argparse.Namespace) -> int:
    """Start the demo and say how to play with it."""
    del arguments
    client = play_engine.connect()
    try:
        plan = prepared_plan()
        play_engine.up(client, plan)
    finally:
        client.close()
    say(guide(plan))
    return 0


def stop(arguments: argparse.Namespace) -> int:
    """End the demo, and delete its data where that is asked for."""
    client = play_engine.connect()
    try:
        ended = play_engine.end(client)
        say(f"ended: {', '.join(ended)}" if ended else "nothing was up")
        if not arguments.delete_data:
            say('The data stays for the next `make up`. To delete it: make stop ARGS="--delete-data"')
            return 0
        deleted = play_engine.delete_data(client)
    finally:
        client.close()
    say(f"deleted: {', '.join([*deleted, *play_engine.delete_folder()]) or 'nothing, there was none'}")
    return 0


def send(arguments: argparse.Namespace) -> int:
    """Send a study of synthetic images to the router, as the demo's modality."""
    plan = known_plan()
    number = arguments.patient or secrets.choice(range(1, 9))
    study = make_cast(Run.new(), scene=1).study(number, "new")
    result = Modality(recorder=Recorder()).send(study.instances, plan.router().intake, via="router")
    if len(result.acknowledged) != len(study.instances):
        raise Stop(f"not all was taken: {result.describe()}\n  What to do: make up, if it is not up", 1)
    say(
        f"sent, and taken by {plan.router().intake}: {study.modality} of {study.patient.name.partition('=')[0]}, "
        f"{len(study.instances)} images, accession number {study.accession_number}"
    )
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Say where the studies are, what waits, and whether the link is whole."""
    del arguments
    plan = known_plan()
    say(f"archive   {len(_archive(plan).studies())} studies")
    say(f"cloud     {len(_cloud(plan).search_all('studies'))} studies")
    for row in _router(plan).status()["destinations"]:
        waiting = row["waiting"] + row["in_progress"]
        say(f"router    to {row['name']}: {row['delivered']} images delivered, {waiting} wait")
    for name, row in _link(plan).routes().items():
        say(f"link      {name}: {described(row['fault'])}")
    return 0


def cut(arguments: argparse.Namespace) -> int:
    """Take the internet away, in the way that is asked for."""
    link = _link(known_plan())
    for route in INTERNET:
        link.set_fault(route, arguments.kind)
    say(f"the internet is cut ({arguments.kind}): the router reaches neither cloud nor identity provider")
    return 0


def heal(arguments: argparse.Namespace) -> int:
    """Make the link whole again."""
    del arguments
    _link(known_plan()).heal_all()
    say("the link is whole; the router delivers within seconds")
    return 0


def described(fault: object) -> str:
    """Return a route's fault in one word."""
    kind = fault.get("kind", "pass") if isinstance(fault, Mapping) else fault
    return "whole" if kind in ("pass", None) else str(kind)


def _http(url: str, *headers: tuple[str, str]) -> HttpClient:
    return HttpClient(url, recorder=Recorder(), headers=headers, timeout=_TIMEOUT)


def _archive(plan: Plan) -> Orthanc:
    pacs = plan.pacs()
    return Orthanc(_http(pacs.http_url, basic_credentials(pacs.username, pacs.password)))


def _router(plan: Plan) -> RouterAdmin:
    router = plan.router()
    return RouterAdmin(_http(router.admin_url, ("Authorization", f"Bearer {router.admin_token}")))


def _link(plan: Plan) -> LinkControl:
    link = plan.link()
    return LinkControl(_http(link.control_url, ("X-Control-Key", link.control_key)))


def _cloud(plan: Plan) -> DicomWeb:
    cloud, identity = plan.cloud(), plan.identity()
    tokens = TokenSource(identity, identity.applications["reader"], audience=cloud.audience)
    http = HttpClient(cloud.url, recorder=Recorder(), ca_file=cloud.ca_file, token=tokens, timeout=_TIMEOUT)
    return DicomWeb(http, version=cloud.version)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tools.play", description="The whole demo, to play with by hand."
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "up", up, "start everything and print addresses, sign-ins and a walk (make up)")
    stopping = _command(commands, "stop", stop, "end everything (make stop)")
    stopping.add_argument(
        "--delete-data", action="store_true", help="also delete volumes, secrets and certificates"
    )
    sending = _command(commands, "send", send, "send a study to the router")
    sending.add_argument(
        "--patient", type=int, choices=range(1, 9), help="of which of the demo's patients (default: any)"
    )
    _command(commands, "status", status, "where the studies are, what waits, whether the link is whole")
    cutting = _command(commands, "cut", cut, "cut the internet")
    cutting.add_argument(
        "--kind",
        choices=("refuse", "blackhole", "unanswered", "reset"),
        default="blackhole",
        help="how connections fail (docs/link.md; default: %(default)s, packets vanish)",
    )
    _command(commands, "heal", heal, "make the link whole again")
    return made


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: Callable[[argparse.Namespace], int],
    about: str,
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=about, description=about)
    made.set_defaults(action=action)
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit codes are those of docs/running.md."""
    arguments = parser().parse_args(words)
    try:
        return int(arguments.action(arguments))
    except SetupProblem as problem:
        raise Stop(str(problem), problem.exit_code) from problem
    except APIError as error:
        raise Stop(f"the container engine refused: {error.explanation or error}") from error
    except (ConnectionError, AzureError) as error:
        raise Stop(f"{error}\n  What to do: make up, if it is not up") from error


if __name__ == "__main__":
    sys.exit(main_of(main))
