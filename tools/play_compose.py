"""`compose/compose.yaml`, made from the descriptions of the systems: `python -m tools.play_compose` writes it anew.

The file holds no secret and no path of a machine: what differs from one checkout to the next comes from
`.local/play`, which `make up` fills.
"""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from fixtures.deployment.container_host import HOST_NAME
from fixtures.deployment.credentials import Certificates, Credentials
from fixtures.deployment.networks import NETWORK_NAMES
from fixtures.deployment.reference import Plan
from fixtures.deployment.spec import SystemSpec
from tools.common import CHECKOUT, main_of, say
from tools.play_plan import FOLDER, keeps_data, plan_of

FILE: Final = CHECKOUT / "compose" / "compose.yaml"
PROJECT: Final = "imaging-conformance-play"
LABEL: Final = "imaging-conformance.play"
"""On containers and networks; its value is the folder of the checkout that started them."""

_FROM_COMPOSE = "../.local/play"
_HEAD = """\
# The whole demo to play with: `make up`, `make stop`, docs/playing.md. Made from the descriptions of the systems by
# `python -m tools.play_compose`: do not edit it here. `make up` fills .local/play, makes volumes, builds the images named in
# .local/play/compose.env; after that this works by itself too:
#
#   docker compose --env-file .local/play/compose.env -f compose/compose.yaml up -d
"""


def variables(plan: Plan, images: Mapping[str, str]) -> dict[str, str]:
    """Return what the file leaves open, by variable, for one checkout."""
    return {
        "PLAY_FOLDER": str(FOLDER),
        "PLAY_TENANT": plan.credentials.tenant,
        "PLAY_VIEWER_CLIENT_ID": plan.credentials.viewer_client_id,
        **{_image_variable(name): tag for name, tag in images.items()},
    }


def render() -> str:
    """Return the text of the file."""
    nobody = Credentials(tenant=_open("PLAY_TENANT"), viewer_client_id=_open("PLAY_VIEWER_CLIENT_ID"))
    # Neither certificates nor the place of the CA show in what is rendered.
    plan = plan_of(nobody, Certificates(ca=b"", leaf=b"", key=b""), FOLDER)
    return _HEAD + yaml.safe_dump(document(plan), sort_keys=False, width=110)


def document(plan: Plan) -> dict[str, Any]:
    """Return the file's content for a plan."""
    specs = plan.specs()
    return {
        "name": PROJECT,
        "services": {spec.role: _service(plan, spec) for spec in specs},
        "networks": {name: {"labels": _labels()} for name in NETWORK_NAMES},
        # Made by `make up`, so that neither way of starting counts the other's as foreign.
        "volumes": {
            spec.role: {"name": volume_name(spec.role), "external": True}
            for spec in specs
            if keeps_data(plan, spec)
        },
    }


def volume_name(role: str) -> str:
    """Return the name of the volume that keeps a system's data."""
    return f"{PROJECT}-{role}"


def _service(plan: Plan, spec: SystemSpec) -> dict[str, Any]:
    own = f"{_FROM_COMPOSE}/{spec.role}"
    volumes = [f"{own}/config:{plan.site.config(spec.role)}:ro"]
    if keeps_data(plan, spec):
        volumes.append(f"{spec.role}:{plan.site.data(spec.role)}")
    service: dict[str, Any] = {
        "image": _open(_image_variable(spec.image)),
        "pull_policy": "never",
        "hostname": spec.role,
        "command": list(spec.command),
        "ports": [f"{plan.site.reach(spec.role, name)}:{number}" for name, number in spec.ports.items()],
        "networks": list(spec.networks),
        "volumes": volumes,
        "extra_hosts": [f"{HOST_NAME}:host-gateway"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "stop_grace_period": f"{spec.stop_within:g}s",
        "labels": _labels(),
    }
    if spec.environment:
        service["env_file"] = [f"{own}/environment"]
    return service


def _labels() -> dict[str, str]:
    return {LABEL: _open("PLAY_FOLDER")}


def _image_variable(image: str) -> str:
    return f"PLAY_IMAGE_{image.upper()}"


def _open(variable: str) -> str:
    return f"${{{variable}:?comes from .local/play/compose.env, which make up writes}}"


def main() -> int:
    """Write the file."""
    FILE.write_text(render(), encoding="utf-8")
    say(f"wrote {FILE.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main_of(main))
