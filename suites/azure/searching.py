"""Searches as tests write them by hand, and what their results hold."""

import re
from collections.abc import Iterable
from typing import Any

from pydicom.datadict import tag_for_keyword

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from fixtures.clients.http import Query
from suites.azure.data import Made

Item = dict[str, Any]
TOP = ("/studies", "/series", "/instances")

STUDY_UID = "0020000D"
SERIES_UID = "0020000E"
SOP_UID = "00080018"


def nested(made: Made) -> tuple[str, str, str]:
    """The three search resources inside the study and series of an instance."""
    study, series = made.path("study"), made.path("series")
    return f"{study}/series", f"{study}/instances", f"{series}/instances"


def keep(web: DicomWeb, *made: Made) -> None:
    """Store instances in one request; fails unless all of them are kept (with or without warnings)."""
    answer = web.store([one.part10 for one in made])
    assert answer.status in (200, 202), answer.describe()
    assert set(answer.stored) == {one.instance for one in made}, answer.describe()


def ask(web: DicomWeb, path: str, query: Query = (), *, accept: str | None = DICOM_JSON) -> Response:
    """GET a search resource below the version; a `str` query goes out as it is, no Accept is sent for None."""
    headers = [("Accept", accept)] if accept is not None else []
    return web.request("GET", path, query=query, headers=headers)


def find(web: DicomWeb, path: str, query: Query = ()) -> list[Item]:
    """The results of a search that must be answered 200 with an array, or 204 with nothing.

    That no match is never an empty array is for QIDO-008's own tests to judge: a filter is no worse for it.
    """
    answer = ask(web, path, query)
    asked = f"GET {path}?{query if isinstance(query, str) else list(query)}"
    assert answer.status in (200, 204), f"{asked}: {answer.describe()}"
    if answer.status == 204:
        assert answer.body == b"", f"{asked}: 204 with a body"
        return []
    found: list[Item] = answer.json()
    assert isinstance(found, list), f"{asked}: {answer.describe()}"
    return found


def uids(items: Iterable[Item], tag: str) -> list[str]:
    """The values of a UID attribute of each result, in order."""
    return [str(item[tag]["Value"][0]) for item in items]


def studies(web: DicomWeb, query: Query) -> set[str]:
    """The Study Instance UIDs that a search of /studies finds."""
    return set(uids(find(web, "/studies", query), STUDY_UID))


def values(item: Item, keyword: str) -> list[Any] | None:
    """The values of an attribute of a result: None when it is absent, [] when it has no Value."""
    entry = item.get(key(keyword))
    return None if entry is None else entry.get("Value", [])


def key(keyword: str) -> str:
    """The DICOM JSON key of a keyword.

    Raises:
        ValueError: there is no such keyword.

    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword!r} is no DICOM keyword")
    return f"{tag:08X}"


def keys(*keywords: str) -> set[str]:
    """The DICOM JSON keys of several keywords."""
    return {key(keyword) for keyword in keywords}


def refused(answer: Response, *phrases: str) -> None:
    """Assert a 400 whose text holds every phrase, letter case aside."""
    assert answer.status == 400, answer.describe()
    text = re.sub(r"\s+", " ", answer.body.decode("utf-8", "replace")).lower()
    missing = [phrase for phrase in phrases if phrase.lower() not in text]
    assert not missing, f"the text of the 400 lacks {missing}: {answer.describe()}"
