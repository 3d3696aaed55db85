"""Bulk updates as tests ask for them."""

import json
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import AS_STORED, DICOM_JSON, DicomWeb
from fixtures.clients.multipart import read
from suites.azure.data import Made
from suites.azure.tags import JSON, ended

ORIGINAL = "msdicom-request-original"
Model = dict[str, Any]


def model(**values: str | list[str]) -> Model:
    """A change data set in DICOM JSON by keyword; a list is several values, an empty one none."""
    changes: Model = {}
    for keyword, value in values.items():
        vr = dictionary_VR(keyword)
        given = value if isinstance(value, list) else [value]
        entry: Model = {"vr": vr}
        if given:
            entry["Value"] = [{"Alphabetic": one} if vr == "PN" else one for one in given]
        changes[f"{tag_for_keyword(keyword):08X}"] = entry
    return changes


def ask(
    web: DicomWeb,
    studies: Any,
    changes: Any,
    *,
    content_type: str | None = JSON,
    segment: str = "$bulkUpdate",
    accept: str | None = None,
) -> Response:
    """A bulk update request."""
    headers = [("Content-Type", content_type)] if content_type is not None else []
    headers += [("Accept", accept)] if accept is not None else []
    body = json.dumps({"studyInstanceUids": studies, "changeDataset": changes}).encode()
    return web.request("POST", f"/studies/{segment}", headers=headers, body=body)


def update(web: DicomWeb, *studies: str, **values: str | list[str]) -> Model:
    """Update studies and wait until it is done; returns the results of the operation."""
    answer = ask(web, list(studies), model(**values))
    assert answer.status == 202, f"updating {values}: {answer.describe()}"
    results: Model = ended(web, answer.json()["id"]).json()["results"]
    return results


def metadata(web: DicomWeb, path: str, *, original: str | None = None) -> list[Model]:
    """The metadata of a resource; `original` is the value of the request header for the first version."""
    headers = [("Accept", DICOM_JSON)] + ([(ORIGINAL, original)] if original is not None else [])
    answer = web.request("GET", f"{path}/metadata", headers=headers)
    assert answer.status == 200, answer.describe()
    found: list[Model] = answer.json()
    return found


def files(web: DicomWeb, path: str, *, original: str | None = None) -> list[bytes]:
    """The files of a resource, as stored first or last."""
    headers = [("Accept", AS_STORED)] + ([(ORIGINAL, original)] if original is not None else [])
    answer = web.request("GET", path, headers=headers)
    assert answer.status == 200, answer.describe()
    return [part.body for part in read(answer.header("Content-Type"), [answer.body])]


def opened(content: bytes) -> Dataset:
    """A retrieved file."""
    return dcmread(BytesIO(content))


def values(found: list[Model], keyword: str) -> list[Any]:
    """The first value of an attribute in each metadata object, None where it has none."""
    key = f"{tag_for_keyword(keyword):08X}"
    return [(one.get(key, {}).get("Value") or [None])[0] for one in found]


def finds(web: DicomWeb, made: Made, **filters: str) -> bool:
    """Whether a search restricted to the study of an instance finds it."""
    answer = web.search("studies", StudyInstanceUID=made.study, **filters)
    assert answer.status in (200, 204), answer.describe()
    return answer.status == 200
