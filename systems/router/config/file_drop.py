"""The table [paths.file-drop]: a watched folder whose files are taken as if they were sent (ROUTER-194). Times are seconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from systems.router.config.reader import Section

FILE_DROP: Final = "file-drop"
_DAY: Final = 86400.0


@dataclass(frozen=True)
class FileDrop:
    """Where files appear, where they go once they are confirmed or refused, and how long they must have rested."""

    enabled: bool
    folder: Path
    archive: Path
    rejected: Path
    ae_title: str
    calling_ae_title: str
    scan_seconds: float
    settle_seconds: float
    private_sop_classes: tuple[str, ...]
    destinations: tuple[str, ...]
    name: str = FILE_DROP


def file_drop(paths: Section, folder: Path) -> FileDrop | None:
    """Table [paths.file-drop], or None where it is absent: then no folder is watched.

    Raises:
        ConfigError: a value cannot be used; the message names the key.

    """
    if not paths.has(FILE_DROP):
        return None
    section = paths.section(FILE_DROP)
    watched = (folder / section.text("folder")).resolve()
    places = {
        key: (folder / section.text(key, f"{watched}-{key}")).resolve() for key in ("archive", "rejected")
    }
    for key, place in places.items():
        if place.is_relative_to(watched) or watched.is_relative_to(place):
            raise section.wrong(key, f"is {place}; it must lie outside of the watched folder {watched}")
    if places["archive"].is_relative_to(places["rejected"]) or places["rejected"].is_relative_to(
        places["archive"]
    ):
        raise section.wrong("rejected", "must lie outside of archive; give each a folder of its own")
    settings = FileDrop(
        enabled=section.flag("enabled", default=True),
        folder=watched,
        archive=places["archive"],
        rejected=places["rejected"],
        ae_title=section.ae_title("ae_title", "FILEDROP"),
        calling_ae_title=section.ae_title("calling_ae_title", "FILEDROP"),
        scan_seconds=section.number("scan_seconds", 1, low=0.05, high=_DAY),
        settle_seconds=section.number("settle_seconds", 3, low=0.1, high=_DAY),
        private_sop_classes=section.texts("private_sop_classes"),
        destinations=section.texts("destinations", ("cloud",)),
    )
    section.finish()
    return settings
