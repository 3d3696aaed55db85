from tests.peer_fixtures import peer, recorder, run

__all__ = ["peer", "recorder", "run"]
