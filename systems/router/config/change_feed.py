"""The table [change_feed]: what the reader of the cloud's change feed may do besides reading (ROUTER-196)."""

from dataclasses import dataclass

from systems.router.config.reader import Section


@dataclass(frozen=True)
class ChangeFeed:
    """`allow_purge`: studies may be deleted from the cloud, each time with a confirmation; off by default."""

    allow_purge: bool = False


def change_feed(section: Section) -> ChangeFeed:
    """Table [change_feed], which may be absent."""
    settings = ChangeFeed(section.flag("allow_purge", default=False))
    section.finish()
    return settings
