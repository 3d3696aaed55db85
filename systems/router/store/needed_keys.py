"""Whether the keys that objects in the spool are encrypted with are there (ROUTER-111)."""

import logging
import sqlite3
from typing import Final

from systems.router.errors import ConfigError
from systems.router.sealing import Keyring

log = logging.getLogger(__name__)
# The condition of the partial index, word for word.
_BY_KEY: Final = "SELECT key_id, count(*) FROM object WHERE pack IS NOT NULL AND key_id != '' GROUP BY key_id"
_PROMISED: Final = """
SELECT count(*) FROM object WHERE pack IS NOT NULL AND key_id != '' AND key_id = ?
AND (kind = 'held' OR EXISTS (SELECT 1 FROM task WHERE object_id = object.id AND state < 3))"""


def check_keys(connection: sqlite3.Connection, keys: Keyring) -> None:
    """Refuse to go on without a key that an object still to be delivered, or a held one, needs; say which old keys are needed.

    Copies that nobody waits for (kept after delivery, conflicts) are no reason to refuse: without their key they are unreadable.

    Raises:
        ConfigError: a key is missing; the message has its identifier.

    """
    counts = {str(key_id): int(count) for key_id, count in connection.execute(_BY_KEY)}
    lacking: list[str] = []
    for key_id, count in sorted(counts.items()):
        if key_id == keys.current:
            continue
        if key_id in keys.identifiers:
            log.info("%d objects of the spool are encrypted with the older key %s", count, key_id)
        elif promised := int(connection.execute(_PROMISED, (key_id,)).fetchone()[0]):
            lacking.append(f"{key_id} ({promised} objects)")
        else:
            log.warning("%d copies in the spool cannot be read: key %s is not configured", count, key_id)
    if lacking:
        raise ConfigError(
            "spool.old_key_files: objects that are still to be delivered are encrypted with a key that is not configured: "
            f"{', '.join(lacking)}; list the file of that key, the spool was not touched"
        )
    for key_id in sorted(keys.identifiers - counts.keys() - {keys.current}):
        log.info("no object of the spool needs the older key %s any more", key_id)
