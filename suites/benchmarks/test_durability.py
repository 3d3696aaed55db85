"""What was acknowledged under load is there after a kill, and clients beside each other do not wait for each other."""

import threading
from itertools import count

from fixtures.evidence.ratio import measure_ratio
from fixtures.load.corpus import pattern
from fixtures.load.drive import Driven, drive, read_back
from fixtures.load.stow import Sent, StowSender
from fixtures.load.wire import Endpoint
from fixtures.reporting.evidence import Evidence
from fixtures.traceability import requirement
from fixtures.waiting import eventually
from suites.benchmarks.hosting import Hosting
from suites.benchmarks.measuring import Bench
from suites.benchmarks.targets import emulator

BEFORE_THE_KILL = 200
SAME_REQUESTS = 80
MOST_TIMES = 1.3
"""Four clients may take this much longer than one for the same requests: a lock with a wait makes it four times."""


class Counted:
    """A sender that can be watched."""

    def __init__(self, sender: StowSender) -> None:
        self._sender = sender
        self.acknowledged = 0

    def send(self) -> Sent:
        """Send the next."""
        sent = self._sender.send()
        self.acknowledged += len(sent.acknowledged)
        return sent

    def close(self) -> None:
        """End."""
        self._sender.close()


def _senders(web: Endpoint, bench: Bench, clients: int) -> list[Counted]:
    return [Counted(StowSender(web, [pattern("small")], bench.stream())) for _ in range(clients)]


@requirement("CLAIM-PUSH-07")
def test_what_was_acknowledged_survives_a_kill_under_load(
    bench: Bench, host: Hosting, evidence: Evidence
) -> None:
    """The service is killed in the middle of a load and started again: every acknowledged instance is there."""
    archive = emulator(host)
    senders = _senders(archive.web, bench, 4)
    outcome: list[Driven] = []
    loading = threading.Thread(target=lambda: outcome.append(drive(senders, seconds=60, most=10**6)))
    loading.start()
    eventually(
        lambda: sum(sender.acknowledged for sender in senders) >= BEFORE_THE_KILL,
        within=30,
        because=f"{BEFORE_THE_KILL} acknowledged instances",
        every=0.005,
    )
    host.kill("emulator")
    loading.join()
    host.start_again("emulator")

    driven = outcome[0]
    evidence.note(f"{len(driven.acknowledged)} instances were acknowledged before the kill.")
    assert len(driven.problems) == 4, f"the kill did not bite: {driven.problems}"
    assert not read_back(archive.web, driven.acknowledged)


@requirement("CLAIM-PUSH-07")
def test_four_clients_take_no_longer_than_one_for_the_same_requests(
    bench: Bench, host: Hosting, evidence: Evidence
) -> None:
    """The same single-instance requests by one client and by four, in turn, decided by the ratio rule."""
    archive = emulator(host)

    def by(clients: int) -> float:
        driven = drive(_senders(archive.web, bench, clients), seconds=60, most=SAME_REQUESTS)
        assert not driven.problems, driven.problems
        return driven.seconds

    ratio = measure_ratio(((by(1), by(4), by(1)) for _ in count()), limit=MOST_TIMES)
    evidence.note(f"Four clients to one: {ratio.describe()}.")
    bench.results.notes.append(f"the same requests, four clients to one: {ratio.describe()}")
    assert ratio.verdict != "fail", ratio.describe()
