"""Data partitions: separate stores under one service, named in the path (PART-001 to PART-016)."""

import re
from datetime import UTC, datetime

from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.storage import partitions
from systems.dicom_service.storage.partitions import AddPartition, Partition
from systems.dicom_service.web.problems import BadRequest
from systems.dicom_service.web.replies import Reply, json_reply
from systems.dicom_service.web.request import Request
from systems.dicom_service.web.routing import is_partitioned

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAKES_PARTITIONS = frozenset({"store", "workitem-create"})
_TICKS = 10_000_000


async def enter(request: Request, context: Context) -> None:
    """Put the request into its partition; raises the 400s of PART-002, PART-003, PART-009 and PART-010."""
    name = request.route.variables.get("partition")
    if not context.settings.partitions:
        if name is not None:
            raise _disabled()
        return
    if name is None:
        if is_partitioned(request.route.template):
            raise BadRequest("The required value PartitionName is missing: name it in the path.")
        return
    if not _NAME.fullmatch(name):
        raise BadRequest(
            "The partition name is invalid: it has 1 to 64 letters, digits, dots, hyphens and underscores."
        )
    request.partition = await _find_or_make(name, request, context)


async def list_partitions(request: Request, context: Context) -> Reply:
    """Answer GET /partitions."""
    if not context.settings.partitions:
        raise _disabled()
    request.require(Action.READ)
    return json_reply([_entry(partition) for partition in partitions.everything(context.store.connection)])


async def _find_or_make(name: str, request: Request, context: Context) -> Partition:
    found = partitions.find(context.store.connection, name)
    if found is not None:
        return found
    if request.route.action not in _MAKES_PARTITIONS:
        raise BadRequest(f"The partition '{name}' does not exist.")
    if Action.WRITE not in request.actions:
        # The action refuses this caller next (403); nobody without the right to write makes anything.
        return Partition(0, name, 0)
    made: Partition = await context.store.change(AddPartition(name))
    return made


def _disabled() -> BadRequest:
    return BadRequest("The data partitions feature is disabled.")


def _entry(partition: Partition) -> dict[str, int | str]:
    seconds, fraction = divmod(partition.created, _TICKS)
    created = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:07d}+00:00"
    return {"partitionKey": partition.key, "partitionName": partition.name, "createdDate": created}
