"""Reads the tables of limits: back-off, spool, timers, queries, migration, alarms."""

from pathlib import Path

from systems.router.config import model
from systems.router.config.reader import Section
from systems.router.config.values import optional_file, secret, url


def backoff(section: Section) -> model.Backoff:
    """Table [backoff]."""
    backoff = model.Backoff(
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


def spool(section: Section) -> model.SpoolLimits:
    """Table [spool]."""
    limits = model.SpoolLimits(
        hard_limit_bytes=section.integer("hard_limit_bytes", 0),
        hard_limit_percent=section.number("hard_limit_percent", 90, low=1, high=100),
        soft_limit_percent=section.number("soft_limit_percent", 75, low=1, high=100),
        keep_delivered_seconds=section.number("keep_delivered_seconds", 0),
        keep_digest_seconds=section.number("keep_digest_seconds", 30 * 86400),
        memory_object_bytes=section.integer("memory_object_bytes", 1024**2, low=1),
    )
    if limits.soft_limit_percent > limits.hard_limit_percent:
        raise section.wrong("soft_limit_percent", "is above hard_limit_percent; lower it")
    section.finish()
    return limits


def timers(section: Section) -> model.Timers:
    """Table [timers]."""
    timers = model.Timers(
        association_request_seconds=section.number("association_request_seconds", 10, low=0.1),
        idle_seconds=section.number("idle_seconds", 360, low=0.1),
        communication_seconds=section.number("communication_seconds", 40, low=0.1),
        max_pdu_bytes=section.integer("max_pdu_bytes", 128 * 1024, low=4096, high=16 * 1024**2),
        default_bound_seconds=section.number("default_bound_seconds", 8, low=0.1),
        grace_seconds=section.number("grace_seconds", 20),
    )
    section.finish()
    return timers


def query(section: Section) -> model.QueryLimits:
    """Table [query]."""
    limits = model.QueryLimits(
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


def migration(section: Section) -> model.Migration:
    """Table [migration]."""
    migration = model.Migration(
        section.integer("width", 1, low=1, high=16), section.number("grace_seconds", 0)
    )
    section.finish()
    return migration


def alarms(section: Section) -> model.Alarms:
    """Table [alarms]."""
    alarms = model.Alarms(
        section.number("destination_down_seconds", 300),
        section.number("oldest_task_seconds", 900),
        section.number("certificate_days", 30),
    )
    section.finish()
    return alarms


def worklist(section: Section) -> model.Worklist:
    """Table [worklist]."""
    worklist = model.Worklist(section.ae_title("peer") if section.has("peer") else "")
    section.finish(also=("peer",))
    return worklist


def commitment(section: Section) -> model.Commitment:
    """Table [commitment]."""
    commitment = model.Commitment(
        enabled=section.flag("enabled", default=True),
        max_pending=section.integer("max_pending", 1000, low=1),
        give_up_seconds=section.number("give_up_seconds", 7 * 86400, low=1),
    )
    section.finish()
    return commitment


def completion(section: Section) -> model.Completion:
    """Table [completion]."""
    completion = model.Completion(
        section.number("series_seconds", 60, low=0.1), section.number("study_seconds", 900, low=0.1)
    )
    if completion.study_seconds < completion.series_seconds:
        raise section.wrong("study_seconds", "is below series_seconds; raise it")
    section.finish()
    return completion
