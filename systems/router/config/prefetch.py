"""The tables [prefetch], [prefetch.hl7] and [prefetch.priors] (ROUTER-135 to ROUTER-145). Times are seconds."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from systems.router.config.reader import Section

PREFETCH_TRIGGER: Final = "prefetch-trigger"
_TYPES: Final = ("ORM^O01", "OMG^O19", "SIU^S12", "ADT^A01", "ADT^A04")
_VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8")
_DAY: Final = 86400.0


@dataclass(frozen=True)
class Hl7Listener:
    """Where HL7 v2 messages arrive by MLLP, and which are taken (ROUTER-002, ROUTER-135, ROUTER-136)."""

    enabled: bool
    host: str
    port: int
    message_types: tuple[str, ...]
    versions: tuple[str, ...]
    processing_ids: tuple[str, ...]
    allowed_networks: tuple[str, ...]
    max_message_bytes: int
    max_connections: int
    message_seconds: float
    idle_seconds: float


@dataclass(frozen=True)
class PriorRules:
    """Which studies of the patient are wanted; every limit is off by default (ROUTER-139)."""

    max_count: int
    max_age_days: int
    modalities: tuple[str, ...]
    same_modality: bool
    body_parts: tuple[str, ...]
    same_body_part: bool
    descriptions: tuple[str, ...]
    exclude_ordered: bool


@dataclass(frozen=True)
class Prefetch:
    """How priors are fetched from the cloud into the PACS."""

    hl7: Hl7Listener
    priors: PriorRules
    on_arrival: bool
    window_seconds: float
    strict_name: bool
    assigning_authority: str
    concurrency: int
    width: int
    width_per_patient: int
    busy_share: float
    max_waiting: int
    max_failures: int
    give_up_seconds: float
    keep_seconds: float


def prefetch(top: Section) -> Prefetch | None:
    """Table [prefetch], or None where it is absent: then nothing is prefetched."""
    if not top.has("prefetch"):
        return None
    section = top.section("prefetch")
    settings = Prefetch(
        hl7=_hl7(section.section("hl7")),
        priors=_priors(section.section("priors")),
        on_arrival=section.flag("on_arrival", default=False),
        window_seconds=section.number("window_seconds", 300),
        strict_name=section.flag("strict_name", default=False),
        assigning_authority=section.optional_text("assigning_authority") or "",
        concurrency=section.integer("concurrency", 2, low=1, high=16),
        width=section.integer("width", 4, low=1, high=64),
        width_per_patient=section.integer("width_per_patient", 2, low=1, high=64),
        busy_share=section.number("busy_share", 0.2, low=0.01, high=1),
        max_waiting=section.integer("max_waiting", 10_000, low=1),
        max_failures=section.integer("max_failures", 5, low=1),
        give_up_seconds=section.number("give_up_seconds", _DAY, low=1),
        keep_seconds=section.number("keep_seconds", 7 * _DAY),
    )
    if settings.width_per_patient > settings.width:
        raise section.wrong("width_per_patient", f"is above width ({settings.width}); lower it")
    section.finish()
    return settings


def _hl7(section: Section) -> Hl7Listener:
    listener = Hl7Listener(
        enabled=section.flag("enabled", default=True),
        host=section.text("host", "0.0.0.0"),  # noqa: S104
        port=section.port("port", 4010),
        message_types=section.texts("message_types", _TYPES),
        versions=section.texts("versions", _VERSIONS),
        processing_ids=section.texts("processing_ids", ("P",)),
        allowed_networks=section.texts("allowed_networks"),
        max_message_bytes=section.integer("max_message_bytes", 1 << 20, low=1024),
        max_connections=section.integer("max_connections", 64, low=1),
        message_seconds=section.number("message_seconds", 30, low=0.1),
        idle_seconds=section.number("idle_seconds", 3600, low=0.1),
    )
    for kind in listener.message_types:
        if not re.fullmatch(r"[A-Z0-9]{3}\^[A-Z0-9]{3}", kind):
            raise section.wrong("message_types", f"{kind!r} is not a type and event such as ORM^O01")
    for network in listener.allowed_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise section.wrong(
                "allowed_networks", f"{network!r} is not a network such as 10.0.1.0/24"
            ) from error
    section.finish()
    return listener


def _priors(section: Section) -> PriorRules:
    rules = PriorRules(
        max_count=section.integer("max_count", 0),
        max_age_days=section.integer("max_age_days", 0, high=200 * 366),
        modalities=section.texts("modalities"),
        same_modality=section.flag("same_modality", default=False),
        body_parts=section.texts("body_parts"),
        same_body_part=section.flag("same_body_part", default=False),
        descriptions=section.texts("descriptions"),
        exclude_ordered=section.flag("exclude_ordered", default=False),
    )
    section.finish()
    return rules
