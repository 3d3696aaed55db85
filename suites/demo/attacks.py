"""What an attacker on premises does: destroys what the PACS and the router keep, and uses the router's credential."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fixtures.clients import multipart
from fixtures.data import Study
from fixtures.deployment.system_files import SystemFiles
from fixtures.world import World
from suites.demo.api_matrix import Call, calls

_ATTACHMENT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/")
"""Where Orthanc keeps its files; its index is beside them."""


def encrypt_pacs_files(world: World) -> int:
    """Replace every file that the PACS keeps by noise of its length; how many there were."""

    def noise(name: str, content: bytes) -> bytes | None:
        return os.urandom(len(content)) if _ATTACHMENT.search(name) else None

    return len(SystemFiles(world.deployment, "pacs").change_data(noise))


def damage_spool(world: World, studies: Sequence[Study]) -> dict[str, str]:
    """In the files of the stopped router flip a byte of one object and cut another one short; the damage by SOP Instance UID.

    `studies` have one instance each; each lies in a file of its own.
    """
    uids = [study.instances[0].sop_instance_uid for study in studies]
    damages = dict(zip(uids, ("flipped", "cut short"), strict=False))
    done: dict[str, str] = {}

    def damaged(_name: str, content: bytes) -> bytes | None:
        for uid, damage in damages.items():
            if content[128:132] == b"DICM" and uid.encode() in content:
                done[uid] = damage
                middle = len(content) * 3 // 4
                if damage == "cut short":
                    return content[:middle]
                return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        return None

    SystemFiles(world.deployment, "router").change_data(damaged)
    assert done == damages, f"found only {done} of {damages} in the spool"
    return done


@dataclass(frozen=True)
class Attack:
    """A call that would take something away or replace it, and the statuses that refuse it."""

    call: Call
    refusals: frozenset[int]


def attacks(world: World, study: Study) -> list[Attack]:
    """Delete at three levels, bulk update, deletion of a tag, and a store of altered objects, aimed at a study."""
    forbidden = [
        Attack(call, frozenset({403}))
        for call in calls(world, study)
        if call.name
        in {"delete instance", "delete series", "delete study", "bulk update", "delete extended query tag"}
    ]
    content_type, body = multipart.encode([i.part10 for i in world.altered(study).instances])
    headers = (("Content-Type", content_type), ("Accept", "application/dicom+json"))
    path = f"/{world.deployment.cloud.version}/studies"
    replaced = Call("store of altered objects", "POST", path, "write", headers, body)
    return [*forbidden, Attack(replaced, frozenset({409}))]


def attempt(world: World, token: str, attack: Attack) -> int:
    """Try it with a token; what it is answered."""
    call = attack.call
    body = call.sound or call.body
    return world.with_token(token).request(call.method, call.path, headers=call.headers, body=body).status
