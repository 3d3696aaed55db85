"""What an export does (EXP-013 to EXP-017)."""

from datetime import UTC, datetime
from functools import partial

import orjson

from systems.dicom_service.export.containers import Containers
from systems.dicom_service.operations.runner import Ended, Run
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.writer import Transaction

_CHUNK = 1 << 20


def export(run: Run) -> Ended:
    """Copy the latest version of every instance named, identifier by identifier; what is unknown goes to the error log."""
    given = run.operation.input
    done = run.operation.progress or {"next": 0, "exported": 0, "skipped": 0}
    containers, log = Containers(run.store.folder), f"{run.operation.id}/errors.log"
    containers.append(given["container"], log, b"")
    for number in range(done["next"], len(given["identifiers"])):
        uids = given["identifiers"][number]
        found = catalog.instances(run.store.connection, *uids, partition=given["partition"])
        with run.store.blobs.holding(instance.place for instance in found):
            for instance in found:
                run.check()
                _copy(run, containers, instance)
        if not found:
            containers.append(given["container"], log, _line("/".join(uids)))
        done = {
            "next": number + 1,
            "exported": done["exported"] + len(found),
            "skipped": done["skipped"] + (not found),
        }
        run.store.run(Transaction(partial(run.advance, progress=done)))
    results = {key: done[key] for key in ("exported", "skipped")}
    return Ended({**results, "errorHref": f"{given['url']}/{log}"})


def _copy(run: Run, containers: Containers, instance: Stored) -> None:
    path = f"{instance.study_uid}/{instance.series_uid}/{instance.sop_uid}.dcm"
    name = f"{run.operation.id}/results/{path}"
    pieces = run.store.blobs.chunks(instance.place, _CHUNK)
    containers.write(run.operation.input["container"], name, pieces)


def _line(identifier: str) -> bytes:
    entry = {
        "timestamp": datetime.now(UTC).isoformat(),
        "identifier": identifier,
        "error": "The specified instances cannot be found.",
    }
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
