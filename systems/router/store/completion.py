"""Whether a study or series has arrived completely, as far as that can be known: by quiet (ROUTER-107)."""

from typing import Any

from systems.router.config.limit_values import Completion
from systems.router.store.transaction import Transaction


def study(tx: Transaction, study_instance_uid: str, completion: Completion) -> dict[str, Any] | None:
    """The instances received of a study, per series, and whether each has been quiet for its time; None for an unknown one."""
    rows = tx.connection.execute(
        "SELECT series_instance_uid, count(*), min(received_at), max(received_at) FROM object "
        "WHERE study_instance_uid = ? AND kind != 'conflict' GROUP BY series_instance_uid ORDER BY 1",
        (study_instance_uid,),
    ).fetchall()
    if not rows:
        return None
    last = max(row[3] for row in rows)
    return {
        "study_instance_uid": study_instance_uid,
        "complete": tx.now - last >= completion.study_seconds,
        "instances": sum(row[1] for row in rows),
        "first_received": min(row[2] for row in rows),
        "last_received": last,
        "series": [
            {
                "series_instance_uid": uid,
                "complete": tx.now - latest >= completion.series_seconds,
                "instances": count,
                "last_received": latest,
            }
            for uid, count, _, latest in rows
        ],
    }
