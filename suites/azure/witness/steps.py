"""The steps of Microsoft's tutorials in their order, for any client: each is named, and each has its result to show.

Sources: as `tutorial`. The three files of the sample take the three ways of storing; the deletions at the end leave nothing.
"""

from collections.abc import Mapping
from typing import Protocol

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, DicomWeb
from suites.azure.data import Made
from suites.azure.witness.curl import Curl
from suites.azure.witness.python import Tutorial, encoded
from suites.azure.witness.sample import Sample
from suites.azure.witness.tutorial import (
    ALL_AS_STORED,
    FRAMES,
    LEVELS,
    ONE_AS_STORED,
    SEARCHES,
    assert_files,
    assert_found,
    assert_frame,
    assert_metadata,
    assert_stored,
)

STEPS = (
    *("store several", "store into the study", "store one as it is"),
    *("retrieve study", "metadata of study", "retrieve series", "metadata of series"),
    *("retrieve instance", "metadata of instance", "frame"),
    *(f"search {search.path}" for search in SEARCHES),
    *("delete instance", "delete series", "delete study"),
)
"""Every step, in order."""


class Client(Protocol):
    """A client as the tutorials use one; paths begin behind the version."""

    def store_form(self, path: str, *made: Made) -> Response:
        """Store files as form data that is called multipart/related."""

    def store_one(self, made: Made) -> Response:
        """Store one file as the whole body."""

    def get(self, path: str, accept: str, parameters: Mapping[str, str] | None = None) -> Response:
        """Search or retrieve."""

    def delete(self, path: str) -> Response:
        """Delete."""


class ByCurl:
    """The program curl with the tutorial's options."""

    def __init__(self, curl: Curl) -> None:
        self._curl = curl

    def store_form(self, path: str, *made: Made) -> Response:
        """See `Client`: curl adds the boundary by itself, unquoted."""
        files = [self._curl.file(f"{one.instance}.dcm", one.part10) for one in made]
        forms = [f"file{number}=@{file};type=application/dicom" for number, file in enumerate(files)]
        arguments = [word for form in forms for word in ("--form", form)]
        related = ("Content-Type", 'multipart/related; type="application/dicom"')
        headers = [("Accept", DICOM_JSON), related]
        return self._curl("POST", path, "--location", *arguments, headers=headers)

    def store_one(self, made: Made) -> Response:
        """See `Client`."""
        data = f"@{self._curl.file('one.dcm', made.part10)}"
        headers = [("Accept", DICOM_JSON), ("Content-Type", "application/dicom")]
        return self._curl("POST", "/studies", "--location", "--data-binary", data, headers=headers)

    def get(self, path: str, accept: str, parameters: Mapping[str, str] | None = None) -> Response:
        """See `Client`."""
        query = "&".join(f"{name}={value}" for name, value in (parameters or {}).items())
        return self._curl("GET", f"{path}?{query}" if query else path, headers=[("Accept", accept)])

    def delete(self, path: str) -> Response:
        """See `Client`."""
        return self._curl("DELETE", path)


class ByRequests:
    """The library requests with the tutorial's code."""

    def __init__(self, tutorial: Tutorial) -> None:
        self._ask = tutorial

    def store_form(self, path: str, *made: Made) -> Response:
        """See `Client`."""
        body, content_type = encoded(*made)
        return self._ask("POST", path, {"Accept": DICOM_JSON, "Content-Type": content_type}, body=body)

    def store_one(self, made: Made) -> Response:
        """See `Client`."""
        headers = {"Accept": DICOM_JSON, "Content-Type": "application/dicom"}
        return self._ask("POST", "/studies", headers, body=made.part10)

    def get(self, path: str, accept: str, parameters: Mapping[str, str] | None = None) -> Response:
        """See `Client`."""
        return self._ask("GET", path, {"Accept": accept}, params=parameters)

    def delete(self, path: str) -> Response:
        """See `Client`."""
        return self._ask("DELETE", path, {})


class ByOwnRequests:
    """The suite's own client, with multipart bodies as the standard has them."""

    def __init__(self, web: DicomWeb) -> None:
        self._web = web

    def store_form(self, path: str, *made: Made) -> Response:
        """See `Client`."""
        study = path.removeprefix("/studies").strip("/") or None
        return self._web.store([one.part10 for one in made], study=study).response

    def store_one(self, made: Made) -> Response:
        """See `Client`."""
        return self._web.store([made.part10], single_part=True).response

    def get(self, path: str, accept: str, parameters: Mapping[str, str] | None = None) -> Response:
        """See `Client`."""
        return self._web.get(path, accept=accept, query=list((parameters or {}).items()))

    def delete(self, path: str) -> Response:
        """See `Client`."""
        return self._web.request("DELETE", path)


def walk(client: Client, sample: Sample) -> tuple[str, ...]:
    """Take every step on a sample that is not stored yet, judge each by its result, and return the steps that were taken.

    Raises:
        AssertionError: a step has another result than its text states; the message begins with the step.

    """
    taken: list[str] = []
    for step in (_store, _retrieve, _search, _delete):
        step(client, sample, taken)
    return tuple(taken)


def _store(client: Client, sample: Sample, taken: list[str]) -> None:
    study = LEVELS["study"].format(**sample.names)
    answers = (
        (client.store_form("/studies", sample.triangle), sample.triangle),
        (client.store_form(study, sample.square), sample.square),
        (client.store_one(sample.circle), sample.circle),
    )
    for name, (answer, made) in zip(STEPS, answers, strict=False):
        assert answer.status == 200, f"{name}: {answer.describe()}"
        assert_stored(answer, made)
        taken.append(name)


def _retrieve(client: Client, sample: Sample, taken: list[str]) -> None:
    for level, template in LEVELS.items():
        path = template.format(**sample.names)
        name = f"retrieve {level}"
        if level == "instance":
            answer = client.get(path, ONE_AS_STORED)
            assert answer.status == 200, f"{name}: {answer.describe()}"
            assert answer.body == sample.triangle.part10, f"{name}: not the file that was stored"
        else:
            assert_files(client.get(path, ALL_AS_STORED), *sample.within(level))
        taken.append(name)
        assert_metadata(client.get(f"{path}/metadata", DICOM_JSON), *sample.within(level))
        taken.append(f"metadata of {level}")
    frame = LEVELS["instance"].format(**sample.names) + "/frames/1"
    assert_frame(client.get(frame, f"{FRAMES}*"), sample.triangle)
    taken.append("frame")


def _search(client: Client, sample: Sample, taken: list[str]) -> None:
    for search in SEARCHES:
        wanted = {search.parameter: sample.names[search.name]}
        answer = client.get(search.path.format(**sample.names), DICOM_JSON, wanted)
        assert_found(answer, search, sample)
        taken.append(f"search {search.path}")


def _delete(client: Client, sample: Sample, taken: list[str]) -> None:
    """Each deletion takes exactly its level: what is left of the study is looked at after each."""
    left = {"instance": (sample.square, sample.circle), "series": (sample.circle,), "study": ()}
    study = LEVELS["study"].format(**sample.names)
    for level, remaining in left.items():
        name = f"delete {level}"
        answer = client.delete(LEVELS[level].format(**sample.names))
        assert (answer.status, answer.body) == (204, b""), f"{name}: {answer.describe()}"
        seen = client.get(f"{study}/metadata", DICOM_JSON)
        if remaining:
            assert_metadata(seen, *remaining)
        else:
            assert seen.status == 404, f"{name}: {seen.describe()}"
        taken.append(name)
