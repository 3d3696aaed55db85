"""Reads the tables of limits: back-off, spool, timers, queries, migration, alarms."""

from pathlib import Path

from systems.router.config import limit_values, model
from systems.router.config.reader import Section
from systems.router.config.values import optional_file, secret, url
from systems.router.digests import ALGORITHMS


def backoff(section: Section) -> limit_values.Backoff:
    """Table [backoff]."""
    backoff = limit_values.Backoff(
        first_seconds=section.number("first_seconds", 1, low=0.01),
        factor=section.number("factor", 2, low=1, high=100),
        ceiling_seconds=section.number("ceiling_seconds", 300, low=0.01),
        jitter=section.number("jitter", 0.2, high=0.9),
    )
    if backoff.ceiling_seconds < backoff.first_seconds:
        raise section.wrong(
            "ceiling_seconds", f"is below first_seconds ({backoff.first_seconds:g}); raise it"
        )
    section.finish()
    return backoff


def delivery(section: Section) -> limit_values.Delivery:
    """Table [delivery]."""
    delivery = limit_values.Delivery(section.number("step_back_seconds", 3, high=60))
    section.finish()
    return delivery


def spool(section: Section) -> limit_values.SpoolLimits:
    """Table [spool] without its keys, see `spool_keys`."""
    limits = limit_values.SpoolLimits(
        hard_limit_bytes=section.integer("hard_limit_bytes", 0),
        hard_limit_percent=section.number("hard_limit_percent", 90, low=1, high=100),
        soft_limit_percent=section.number("soft_limit_percent", 75, low=1, high=100),
        keep_delivered_seconds=section.number("keep_delivered_seconds", 0),
        keep_digest_seconds=section.number("keep_digest_seconds", 30 * 86400),
        memory_object_bytes=section.integer("memory_object_bytes", 1024**2, low=1),
        digest=section.choice("digest", ALGORITHMS, "blake3"),
    )
    if limits.soft_limit_percent > limits.hard_limit_percent:
        raise section.wrong("soft_limit_percent", "is above hard_limit_percent; lower it")
    section.finish(also=("key_env", "key_file", "old_key_files"))
    return limits


def timers(section: Section) -> limit_values.Timers:
    """Table [timers]."""
    timers = limit_values.Timers(
        association_request_seconds=section.number("association_request_seconds", 10, low=0.1),
        idle_seconds=section.number("idle_seconds", 360, low=0.1),
        communication_seconds=section.number("communication_seconds", 40, low=0.1),
        max_pdu_bytes=section.integer("max_pdu_bytes", 128 * 1024, low=4096, high=16 * 1024**2),
        default_bound_seconds=section.number("default_bound_seconds", 8, low=0.1),
        grace_seconds=section.number("grace_seconds", 20),
    )
    section.finish()
    return timers


def query(section: Section) -> limit_values.QueryLimits:
    """Table [query]."""
    limits = limit_values.QueryLimits(
        max_matches=section.integer("max_matches", 100_000, low=1),
        search_connect_seconds=section.number("search_connect_seconds", 5, low=0.1),
        search_bound_seconds=section.number("search_bound_seconds", 8, low=0.1),
        move_bound_seconds=section.number("move_bound_seconds", 3600, low=1),
        move_width=section.integer("move_width", 4, low=1, high=64),
        c_get=section.flag("c_get", default=True),
    )
    section.finish()
    return limits


def pacs_rest(section: Section, folder: Path) -> model.PacsRest | None:
    """Table [pacs.rest], or None where it is absent."""
    if not section.has("rest"):
        section.finish(also=("rest",))
        return None
    rest = section.section("rest")
    username = rest.optional_text("username")
    result = model.PacsRest(
        url=url(rest, "url").rstrip("/"),
        username=username,
        password=secret(rest, "password", folder) if username else None,
        ca_file=optional_file(rest, "ca_file", folder),
    )
    rest.finish()
    section.finish()
    return result


def migration(section: Section) -> limit_values.Migration:
    """Table [migration]."""
    migration = limit_values.Migration(
        section.integer("width", 1, low=1, high=16), section.number("grace_seconds", 0)
    )
    section.finish()
    return migration


def alarms(section: Section) -> limit_values.Alarms:
    """Table [alarms]."""
    alarms = limit_values.Alarms(
        section.number("destination_down_seconds", 300),
        section.number("oldest_task_seconds", 900),
        section.number("certificate_days", 30),
    )
    section.finish()
    return alarms


def worklist(section: Section) -> limit_values.Worklist:
    """Table [worklist]."""
    worklist = limit_values.Worklist(section.ae_title("peer") if section.has("peer") else "")
    section.finish(also=("peer",))
    return worklist


def commitment(section: Section) -> limit_values.Commitment:
    """Table [commitment]."""
    commitment = limit_values.Commitment(
        enabled=section.flag("enabled", default=True),
        max_pending=section.integer("max_pending", 1000, low=1),
        give_up_seconds=section.number("give_up_seconds", 7 * 86400, low=1),
    )
    section.finish()
    return commitment


def completion(section: Section) -> limit_values.Completion:
    """Table [completion]."""
    completion = limit_values.Completion(
        section.number("series_seconds", 60, low=0.1), section.number("study_seconds", 900, low=0.1)
    )
    if completion.study_seconds < completion.series_seconds:
        raise section.wrong("study_seconds", "is below series_seconds; raise it")
    section.finish()
    return completion
