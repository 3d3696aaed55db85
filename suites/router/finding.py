"""What the tests of C-FIND have in common."""

from fixtures.actors.results import FindResult
from fixtures.data import Study


def uids_of(study: Study) -> dict[str, str]:
    """The unique keys of a study, its first series and its first instance."""
    first = study.instances[0].fingerprint
    return {
        "StudyInstanceUID": first.study_instance_uid,
        "SeriesInstanceUID": first.series_instance_uid,
        "SOPInstanceUID": first.sop_instance_uid,
    }


def ended_well(found: FindResult, because: str) -> FindResult:
    """The result itself, which must have ended with 0000."""
    assert found.status == 0x0000, f"{because}: {found.describe()}"
    return found
