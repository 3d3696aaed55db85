from pathlib import Path

import pytest
from pydicom import Dataset, Sequence, dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from fixtures.data import Cast, Run, load_dataset_folder, make_cast, make_series, real_files
from fixtures.evidence.fingerprint import fingerprint

OTHERS = Run("somebody else's data")


def save(path: Path, part10: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(part10)
    return path


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patient 1 with three studies, patient 2 with one, patient 3 with two, and files that are no use."""
    root, source = tmp_path_factory.mktemp("hospital"), make_cast(OTHERS, 7)
    for number, kinds in ((1, ("recent", "new", "prior")), (2, ("prior",)), (3, ("recent", "prior"))):
        for kind in kinds:
            for index, instance in enumerate(source.study(number, kind).instances[:3]):  # type: ignore[arg-type]
                save(root / f"patient{number}" / kind / f"{index}.dcm", instance.part10)
    return root


def spoiled(path: Path, **changes: object) -> Path:
    dataset: Dataset = make_series(OTHERS, 9, 1).instances[0].dataset()
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dcmwrite(path, dataset)
    return path


def test_studies_are_found_and_stand_in_the_demos_roles(hospital: Path, run: Run) -> None:
    folder = load_dataset_folder(hospital, run)
    assert folder.rejected == ()
    assert [(s.patient.number, s.kind, s.study_date) for s in folder.studies] == [
        (1, "prior", "19940223"),
        (1, "recent", "20110602"),
        (1, "new", "20221122"),
        (2, "prior", "19691116"),
        (2, "new", "19760721"),
        (3, "new", "20040831"),
    ]


def test_cast_is_completed_and_says_so(hospital: Path, run: Run) -> None:
    cast = load_dataset_folder(hospital, run).cast(run, 4)
    assert len(cast.patients) == 8
    assert len(cast.all_studies) == 24
    made = [(s.patient.number, s.kind) for s in cast.all_studies if "made to complete" in s.description]
    assert made == [(2, "recent"), (3, "recent"), (3, "prior")]
    recent, new, prior = (cast.study(3, kind) for kind in ("recent", "new", "prior"))
    assert prior.study_date < recent.study_date < new.study_date
    assert {i.fingerprint.patient_id for s in (recent, new, prior) for i in s.instances} == {
        run.patient_id(4, 3)
    }


def test_nothing_keeps_a_name_of_its_owner(hospital: Path, run: Run) -> None:
    folder = load_dataset_folder(hospital, run)
    for study in folder.studies:
        for instance in study.stream():
            assert OTHERS.uid_root.encode() not in instance.part10
            assert OTHERS.patient_id_prefix.encode() not in instance.part10
            assert instance.fingerprint.sop_instance_uid.startswith(run.uid_root)


def test_pixels_and_other_elements_are_those_of_the_file(hospital: Path, run: Run) -> None:
    originals = {fingerprint(p).decoded_digest for p in hospital.rglob("*.dcm")}
    copies = [i for s in load_dataset_folder(hospital, run).studies for i in s.instances]
    assert {i.fingerprint.decoded_digest for i in copies} == originals


def test_scenes_share_no_names(hospital: Path, run: Run) -> None:
    folder = load_dataset_folder(hospital, run)
    one, other = folder.cast(run, 1), folder.cast(run, 2)
    assert not names(one) & names(other)


def names(cast: Cast) -> set[str]:
    return {s.study_instance_uid for s in cast.all_studies} | {p.patient_id for p in cast.patients}


def test_references_follow_their_targets(tmp_path: Path, run: Run) -> None:
    target = make_series(OTHERS, 9, 1, number=2).instances[0]
    save(tmp_path / "target.dcm", target.part10)
    item = Dataset()
    item.ReferencedSOPClassUID = target.fingerprint.sop_class_uid
    item.ReferencedSOPInstanceUID = target.sop_instance_uid
    spoiled(tmp_path / "source.dcm", ReferencedImageSequence=Sequence([item]), OtherPatientIDs="old")
    instances = [i.dataset() for s in load_dataset_folder(tmp_path, run).studies for i in s.instances]
    (source,) = [i for i in instances if "ReferencedImageSequence" in i]
    (moved,) = [i for i in instances if "ReferencedImageSequence" not in i]
    reference = source.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == moved.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == target.fingerprint.sop_class_uid
    assert source.OtherPatientIDs == source.PatientID


def test_every_unusable_file_is_named_with_its_reason(tmp_path: Path, run: Run) -> None:
    good = make_series(OTHERS, 9, 2)
    save(tmp_path / "a.dcm", good.instances[0].part10)
    save(tmp_path / "copy.dcm", good.instances[0].part10)
    save(tmp_path / "cut.dcm", good.instances[1].part10[:-100])
    save(tmp_path / "deep" / "letter.txt", b"Dear colleague")
    save(tmp_path / "empty", b"")
    spoiled(tmp_path / "other.dcm", PatientID="SOMEBODY ELSE", SOPInstanceUID="1.2.3")
    spoiled(tmp_path / "nouid.dcm", StudyInstanceUID=None)
    spoiled(tmp_path / "find.dcm", SOPClassUID=UID("1.2.840.10008.5.1.4.1.2.2.1"), SOPInstanceUID="1.2.4")
    spoiled(tmp_path / "dir.dcm", SOPClassUID=UID("1.2.840.10008.1.3.10"), SOPInstanceUID="1.2.5")
    folder = load_dataset_folder(tmp_path, run)
    assert len(folder.studies) == 1
    reasons = {path.name: reason for path, reason in folder.rejected}
    assert reasons == {
        "copy.dcm": "the same SOP Instance UID as a.dcm",
        "cut.dcm": reasons["cut.dcm"],
        "letter.txt": "not DICOM: neither a DICM prefix nor a first element of group 0002 or 0008",
        "empty": "the file is empty",
        "other.dcm": "its study has another Patient ID in an earlier file",
        "nouid.dcm": "no Study Instance UID",
        "find.dcm": "SOP Class 1.2.840.10008.5.1.4.1.2.2.1 is not a storage class of the standard",
        "dir.dcm": "a DICOMDIR: it only lists other files",
    }
    assert reasons["cut.dcm"].startswith("cut short: (7FE0,0010)")


def test_missing_folder_is_refused(tmp_path: Path, run: Run) -> None:
    with pytest.raises(NotADirectoryError, match="is no folder"):
        load_dataset_folder(tmp_path / "nowhere", run)


def test_real_files_are_usable_under_names_of_the_run(run: Run) -> None:
    folder = real_files(run)
    assert len(folder.studies) > 50
    assert len(folder.rejected) < 40
    uids: set[str] = set()
    syntaxes: set[str] = set()
    for study in folder.studies[:25]:
        for instance in study.stream():
            assert instance.sop_instance_uid not in uids
            uids.add(instance.sop_instance_uid)
            syntaxes.add(instance.fingerprint.transfer_syntax_uid)
    assert all(uid.startswith(run.uid_root) for uid in uids)
    assert ExplicitVRLittleEndian in syntaxes
    assert len(syntaxes) > 5
