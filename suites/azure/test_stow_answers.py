"""Storing: statuses and what the answer says of each instance (PS3.18 section 10.5.3)."""

import pytest

from fixtures.clients.dicomweb import DICOM_JSON, ONE_AS_STORED, DicomWeb
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure import stow
from suites.azure.data import Maker
from suites.azure.service import Service
from suites.azure.stow import IMPLICIT_VR, as_store, items, kept, metadata, outcome, post, stored

_IMPLICIT = "1.2.840.10008.1.2"
_BAD_DATE = {0x00080022: ("DA", "NotADate")}


@requirement("STOW-031", "STOW-037", "STOW-039")
def test_everything_stored(web: DicomWeb, make: Maker) -> None:
    """200 with one complete item an instance, and nothing else in the answer (STOW-031, STOW-037, STOW-039)."""
    made = make()
    answer = stored(web, made)
    assert outcome(answer) == (200, [], []), answer.describe()
    assert set(answer.response.json()) == {"00081199"}
    (item,) = items(answer, "00081199")
    assert item["00081150"] == {"vr": "UI", "Value": [made.dataset.SOPClassUID]}
    assert item["00081155"] == {"vr": "UI", "Value": [made.instance]}
    assert item["00081190"] == {"vr": "UR", "Value": [f"{web.http.base_url}/{web.version}{made.path()}"]}


@requirement("STOW-032", "STOW-037", "STOW-042", "STOW-048")
def test_partial_success(web: DicomWeb, make: Maker) -> None:
    """202 when one is stored and one fails; both sequences keep the request's order (STOW-032, 037, 042, 048)."""
    made = [make(), make(PatientID=None), make(), make(raw={0x00080018: ("UI", "abc.123")})]
    answer = stored(web, *made)
    assert answer.status == 202, answer.describe()
    assert set(answer.response.json()) == {"00081198", "00081199"}
    assert answer.stored == (made[0].instance, made[2].instance)
    named = [(item["00081155"]["Value"], item["00081150"]["Value"]) for item in items(answer, "00081198")]
    wanted = [
        ([made[1].instance], [made[1].dataset.SOPClassUID]),
        (["abc.123"], [made[3].dataset.SOPClassUID]),
    ]
    assert named == wanted, "STOW-042: the values of the file, also invalid ones"
    assert kept(web, made[1]) is None


@requirement("STOW-033", "STOW-034", "STOW-111", "STOW-112", "STOW-113")
def test_warnings_alone(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A stored instance with a warning gives 200 under v1 and 202 under v2 (STOW-033, 034, 111, 112, 113)."""
    assert outcome(stored(v1, make(syntax=_IMPLICIT))) == (200, [], [IMPLICIT_VR])
    assert outcome(stored(v2, make(syntax=_IMPLICIT))) == (202, [], [IMPLICIT_VR])
    assert outcome(stored(v2, make())) == (200, [], []), "explicit VR, no remark"


@requirement("STOW-035", "STOW-045")
def test_nothing_stored(web: DicomWeb, make: Maker) -> None:
    """409 with the response data set when all fail; failed items have no warning reason (STOW-035, STOW-045)."""
    without = make(PatientID=None, raw=_BAD_DATE, syntax=_IMPLICIT)
    answer = stored(web, without)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert answer.response.content_type.partition(";")[0] == DICOM_JSON
    assert set(answer.response.json()) == {"00081198"}
    assert "00081196" not in items(answer, "00081198")[0], "STOW-045"


@requirement("STOW-038")
def test_study_retrieve_url(web: DicomWeb, make: Maker) -> None:
    """The study's URL is there exactly when the study was in the path and something was stored (STOW-038)."""
    within, without, failed = make(), make(), make(PatientID=None)
    url = stored(web, within, study=within.study).response.json()["00081190"]
    assert url["vr"] == "UR"
    assert url["Value"][0].endswith(f"/studies/{within.study}")
    assert "00081190" not in stored(web, without).response.json()
    assert "00081190" not in stored(web, failed, study=failed.study).response.json()


@requirement("STOW-040")
def test_instance_retrieve_url_works(web: DicomWeb, make: Maker) -> None:
    """GET on an item's URL returns that instance (STOW-040)."""
    made = make()
    url = stored(web, made).retrieve_urls[made.instance]
    assert url.startswith(web.http.base_url), url
    answer = web.http.request("GET", url[len(web.http.base_url) :], headers=[("Accept", ONE_AS_STORED)])
    assert (answer.status, answer.body) == (200, made.part10)


@requirement("STOW-041")
def test_host_of_the_urls(service: Service, web: DicomWeb, make: Maker) -> None:
    """Scheme and host of the URLs are those of the request, with its port (STOW-041)."""
    made = make()
    url = stored(web, made).retrieve_urls[made.instance]
    assert url.startswith(service.deployment.cloud.url + "/"), url


@requirement("STOW-043", "STOW-044", "STOW-057")
def test_reasons_of_failures(web: DicomWeb, make: Maker) -> None:
    """A validation failure has its reasons, a duplicate and an unreadable file none (STOW-043, 044, 057)."""
    good, without = make(), make(PatientID=None)
    answer = stored(web, good, without, good)
    assert list(answer.failed.values()) == [43264, 45070], answer.describe()
    failed, duplicate = items(answer, "00081198")
    reason = "DICOM100: (0010,0020) - The required tag '(0010,0020)' is missing."
    assert failed["00741048"] == {
        "vr": "SQ",
        "Value": [{"00000902": {"vr": "LO", "Value": [reason]}}],
    }
    assert "00741048" not in duplicate, "STOW-044"
    assert "00741048" not in items(post(web, b"no file"), "00081198")[0], "STOW-044"


@requirement("STOW-043")
def test_reasons_beside_a_failure(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """v2 lists other violations beside the one that failed, private ones with their creator; v1 does not (STOW-043)."""
    raw = {0x00091001: ("CS", "lower"), 0x00090010: ("LO", "MAKER"), **_BAD_DATE}
    failed = make(PatientID=None, raw=raw)
    first = stow.reasons(stored(v1, failed))
    second = stow.reasons(stored(v2, failed))
    assert [text[:21] for text in first] == ["DICOM100: (0010,0020)"]
    starts = sorted(text.partition(" - ")[0] for text in second)
    assert starts == ["DICOM100: (0008,0022)", "DICOM100: (0009,1001:MAKER)", "DICOM100: (0010,0020)"]


@requirement("STOW-046", "STOW-047")
def test_reasons_of_success(v1: DicomWeb, v2: DicomWeb, make: Maker) -> None:
    """A stored item has an empty reasons sequence under v2 and none under v1 (STOW-046, STOW-047)."""
    first, second = stored(v1, make()), stored(v2, make())
    assert (first.status, second.status) == (200, 200)
    assert "00741048" not in items(first, "00081199")[0], "STOW-047"
    assert items(second, "00081199")[0]["00741048"] == {"vr": "SQ"}, "STOW-046"


@requirement("STOW-125", "STOW-116")
def test_visible_after_the_response(web: DicomWeb, make: Maker) -> None:
    """After the answer the instance, here one without pixels, is in WADO, metadata and QIDO (STOW-125, STOW-116)."""
    made = make(PixelData=None, Rows=None, Columns=None)
    assert stored(web, made).status == 200
    assert web.retrieve(made.study) == web.retrieve(made.study, made.series) == [made.part10]
    assert kept(web, made) == made.part10
    assert metadata(web, made)["00080018"]["Value"] == [made.instance]
    for level, found in (("studies", made.study), ("series", made.series), ("instances", made.instance)):
        answer = web.search(level, StudyInstanceUID=made.study)
        assert answer.status == 200, answer.describe()
        assert found in answer.body.decode()


@requirement("STOW-127")
def test_change_feed_has_one_entry_for_each_stored(service: Service, make: Maker) -> None:
    """A stored instance adds one create entry to the change feed, a failed one none (STOW-127)."""
    web = service.web(version="v1")
    latest = web.change_feed_latest()
    since = (
        int(latest.json()["Sequence" if "Sequence" in latest.json() else "sequence"]) if latest.body else 0
    )
    good, failed = make(), make(PatientID=None)
    assert stored(web, failed).status == 409
    assert outcome(stored(web, good, good)) == (202, [45070], [])

    def entries() -> list[tuple[str, str]]:
        own = {good.study, failed.study}
        found = web.change_feed_all(since)
        lower = [{key.lower(): value for key, value in entry.items()} for entry in found]
        return [(e["sopinstanceuid"], e["action"].lower()) for e in lower if e["studyinstanceuid"] in own]

    within = float(service.settle)
    seen = eventually(entries, within=within, because="the change feed should have the new instance")
    assert seen == [(good.instance, "create")]


@needs("open-source")
@requirement("STOW-130")
@pytest.mark.parametrize("kind", ["mismatch", "missing", "duplicate", "unreadable"])
def test_only_known_codes(web: DicomWeb, make: Maker, kind: str) -> None:
    """The failure codes that occur are 43264 and 45070, never 43265 (STOW-130)."""
    made = make(PatientID=None) if kind == "missing" else make()
    if kind == "duplicate":
        assert stored(web, made).status == 200
    content = b"rubbish" if kind == "unreadable" else made.part10
    study = make.uid() if kind == "mismatch" else None
    status, codes = stow.refused(as_store(post(web, content, study=study)).response)
    assert (status, codes) == (409, [45070 if kind == "duplicate" else 43264])
