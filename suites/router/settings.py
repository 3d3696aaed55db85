"""Routers with other settings than the reference deployment's: what each has, and how its file is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from fixtures.deployment.deployment import Overrides
from fixtures.deployment.spec import Probe, Running, SystemSpec
from fixtures.world.router_file import FILE, with_keys

BRIDGE = "QIETOAZURE"


@dataclass(frozen=True)
class Variant:
    """A router of other settings.

    `keys` are `table.key` with the value as TOML writes it; `more` is text for the end of the file; `replaced` is text put
    in the place of other text; `files` are further files. `without` are systems that are left out.
    """

    name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    ready_without_bridge: bool = False
    """For a bridge that the usual probe cannot speak to: the admin interface alone says whether the router is up."""

    def overrides(self) -> Overrides:
        """For `deploy`."""
        return {"router": self._changed, **dict.fromkeys(self.without, _absent)}

    def _changed(self, spec: SystemSpec) -> SystemSpec:
        text = spec.files[FILE].decode()
        for old, new in self.replaced.items():
            assert old in text, f"variant {self.name}: {old!r} is not in the router's file"
            text = text.replace(old, new)
        text = with_keys(text, self.keys) + "\n" + self.more
        changed = replace(spec, files={**spec.files, FILE: text.encode(), **self.files})
        if not self.ready_without_bridge:
            return changed
        return replace(changed, ready=partial(_but_for_the_bridge, spec.ready))


def _but_for_the_bridge(ready: Probe, running: Running) -> None:
    """The usual probe, which asks the admin interface first and the bridge next."""
    try:
        ready(running)
    except AssertionError as error:
        if BRIDGE not in str(error):
            raise


def _absent(_: SystemSpec) -> None:
    return None


STRICT = Variant(
    "strict",
    keys={
        "cloud.version": '"v1"',
        "cloud.store_form": '"single"',
        "cloud.credential.form": '"v1"',
        "paths.cloud-bridge.mode": '"queued"',
        "paths.cloud-bridge.check_called_ae": "false",
        "paths.modality-intake.allowed_calling_aes": '["GDCM", "ALLOWED"]',
        "paths.modality-intake.max_associations": "2",
        "paths.modality-intake.private_sop_classes": '["1.3.6.1.4.1.9590.100.1.1.1"]',
        "paths.pacs-bridge.keep_calling_ae": "false",
        "query.c_get": "false",
        "query.max_matches": "3",
        "query.move_width": "1",
        "timers.idle_seconds": "1.5",
        "worklist.peer": '"WORKSTATION"',
        "completion.series_seconds": "0.5",
        "completion.study_seconds": "1",
    },
    replaced={
        "/oauth2/v2.0/token": "/oauth2/token",
        'scope = "https://dicom.healthcareapis.azure.com/.default"': 'resource = "https://dicom.healthcareapis.azure.com"',
        "timer_seconds = 130\n": "timer_seconds = 100\n",
    },
    more="""
[[rules]]
name = "ct to both"
destinations = ["ORTHANC", "cloud"]
called_ae_titles = ["QIEROUTER"]
modalities = ["CT"]

[[rules]]
name = "the bridge leads to the cloud"
destinations = ["cloud"]
called_ae_titles = ["QIETOAZURE"]

[[rules]]
name = "ultrasound stays"
destinations = ["ORTHANC"]
modalities = ["US"]

[[rules]]
name = "research also to the cloud"
destinations = ["cloud"]
calling_ae_titles = ["ALLOWED"]
sop_classes = ["1.2.840.10008.5.1.4.1.1.3.1"]
""",
)
"""The opposite of the defaults wherever a switch has two sides (ROUTER-003, 004, 006, 026, 027, 029, 040,
065, 107, 120, 128, 191, 202)."""

NARROW = Variant(
    "narrow",
    keys={
        "cloud.max_request_bytes": "300000",
        "cloud.read_idle_seconds": "1",
        "cloud.test_only_do_not_verify_tls": "true",
        "query.move_bound_seconds": "1",
        "alarms.destination_down_seconds": "0.3",
        "alarms.oldest_task_seconds": "0.3",
        "timers.grace_seconds": "3",
        "paths.file-drop.folder": '"../data/drop"',
        "paths.file-drop.destinations": '["ORTHANC", "cloud"]',
        "paths.file-drop.scan_seconds": "0.1",
        "paths.file-drop.settle_seconds": "0.5",
    },
    replaced={'name = "cloud"\nkind = "dicomweb"': 'name = "cloud"\nkind = "dicomweb"\nmax_failures = 2'},
)
"""Small limits, so that reaching them takes no time (ROUTER-091, 108, 125, 127, 161, 176, 186); it also
watches a folder beside its data (ROUTER-194)."""

FULL = Variant("full", keys={"spool.hard_limit_bytes": "1500000"})
"""A spool of its own that is soon full: dead letters of other tests would take its room (ROUTER-185)."""
