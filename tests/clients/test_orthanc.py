from fixtures.actors.modality import Modality
from fixtures.actors.receiver import Receiver
from fixtures.clients.orthanc import QueryResult
from fixtures.data import Run, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.evidence.exchange import Recorder
from tests.actors.orthanc_peer import OrthancPeer


def test_resources_counts_and_changes(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    orthanc = peer.orthanc(recorder)
    before = orthanc.changes()
    series = make_series(run, 1, 2)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")

    study_id = orthanc.lookup_study(series.study_instance_uid)
    assert study_id in orthanc.studies()
    assert study_id is not None
    rows = orthanc.study_instances(study_id)
    assert {row["MainDicomTags"]["SOPInstanceUID"] for row in rows} == series.sop_instance_uids
    assert {row["ID"] for row in rows} <= set(orthanc.instances())
    assert len(orthanc.series()) >= 1
    assert orthanc.statistics()["CountInstances"] >= 2
    assert orthanc.preview(rows[0]["ID"]).content_type == "image/png"
    last = before[-1]["Seq"] if before else 0
    new = [change for change in orthanc.changes(last) if change["ChangeType"] == "NewInstance"]
    assert {change["ID"] for change in new} == {row["ID"] for row in rows}
    assert orthanc.find("Study", {"PatientID": series.patient.patient_id}) == [study_id]


def test_jobs_end_well_and_badly(peer: OrthancPeer, recorder: Recorder, run: Run) -> None:
    orthanc = peer.orthanc(recorder)
    series = make_series(run, 1, 2)
    Modality(recorder=recorder).send(series.instances, peer.dicom, via="pacs")
    study_id = orthanc.lookup_study(series.study_instance_uid)
    assert study_id is not None
    at = DimseAddress("WORKSTATION", "127.0.0.1", peer.workstation_port)

    assert orthanc.modalities() == ["WORKSTATION"]
    assert orthanc.echo("WORKSTATION", timeout=1).status != 200
    failed = orthanc.wait(orthanc.send_to("WORKSTATION", study_id))
    with Receiver(at) as receiver:
        assert orthanc.echo("WORKSTATION").status == 200
        sent = orthanc.wait(orthanc.send_to("WORKSTATION", [study_id]))

    assert (failed.succeeded, failed.state) == (False, "Failure")
    assert failed.error
    assert sent.succeeded
    assert {each.sop_instance_uid for each in receiver.requests} == series.sop_instance_uids


def test_answers_are_found_by_study() -> None:
    result = QueryResult("q", ({"StudyInstanceUID": "1"}, {"StudyInstanceUID": "2"}))

    assert result.index("2") == 1
