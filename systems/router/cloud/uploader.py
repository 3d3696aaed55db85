"""Stores instances and says for each what became of it, comparing with the stored copy where the table asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from systems.router.cloud.errors import CloudAnswerError, CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.http import CloudHttp
from systems.router.cloud.readback import Compared, Held, Local, compare
from systems.router.cloud.stow import Part, store
from systems.router.cloud.stow_table import Kind, Verdict, classify
from systems.router.config.model import Cloud

ALREADY_STORED: Final = Verdict(Kind.ALREADY_STORED, 0x0000, "")
CONFLICT: Final = Verdict(Kind.CONFLICT, 0xA900, "the cloud holds other content under this UID")


@dataclass(frozen=True, slots=True)
class Upload:
    """An instance to store; `local` is its Part 10 file for a comparison element by element."""

    part: Part
    digest: str
    local: Local | None


class Uploader:
    """The store side of the cloud. Nothing is raised: an outage is a verdict too."""

    def __init__(self, http: CloudHttp, cloud: Cloud) -> None:
        self.http = http
        self._cloud = cloud

    def reconfigure(self, cloud: Cloud) -> None:
        """Keep these sizes from the next request on."""
        self._cloud = cloud
        self.http.reconfigure(cloud)

    @property
    def batch_instances(self) -> int:
        """Instances a request may carry."""
        return 1 if self._cloud.store_form == "single" else self._cloud.batch_instances

    @property
    def batch_bytes(self) -> int:
        """Bytes a batch may carry; a single larger instance still goes alone."""
        return min(self._cloud.batch_bytes, self._cloud.max_request_bytes)

    def too_large(self, size: int) -> bool:
        """Whether the cloud takes no request of that size (ROUTER-186)."""
        return size > self._cloud.max_request_bytes

    async def store(self, uploads: Sequence[Upload]) -> dict[str, Verdict]:
        """Store in one request; the verdict of each instance by SOP Instance UID, never `ALREADY_THERE`."""
        uids = [upload.part.identity.sop_instance_uid for upload in uploads]
        single = self._cloud.store_form == "single" and len(uploads) == 1
        try:
            answer = await store(self.http, [upload.part for upload in uploads], single_part=single)
        except (CloudUnreachableError, CloudUnauthorisedError) as error:
            return dict.fromkeys(uids, failure_verdict(error))
        verdicts = classify(answer, uids)
        for upload in uploads:
            uid = upload.part.identity.sop_instance_uid
            if verdicts[uid].kind is Kind.ALREADY_THERE:
                verdicts[uid] = await self._resolve(upload)
        return verdicts

    async def _resolve(self, upload: Upload) -> Verdict:
        try:
            held = (await self.compare(upload)).held
        except (CloudUnreachableError, CloudUnauthorisedError, CloudAnswerError):
            return Verdict(
                Kind.UNKNOWN, 0xA700, "the cloud's copy of this UID could not be read", uncertain=True
            )
        if held is Held.SAME:
            return ALREADY_STORED
        if held is Held.DIFFERENT:
            return CONFLICT
        return Verdict(Kind.REFUSED, 0xA700, "the cloud names a copy that it does not return", uncertain=True)

    async def compare(self, upload: Upload) -> Compared:
        """What the cloud holds under the instance's UID.

        Raises:
            CloudError: it could not be read.

        """
        return await compare(self.http, upload.part.identity, upload.digest, upload.local)


def failure_verdict(error: CloudUnreachableError | CloudUnauthorisedError) -> Verdict:
    """No HTTP answer, or no token: the last rows of the table."""
    if isinstance(error, CloudUnauthorisedError):
        return Verdict(Kind.UNAUTHORISED, 0x0124, str(error), answered=False)
    return Verdict(Kind.TRANSIENT, 0xA700, str(error), uncertain=error.sent, answered=False)
