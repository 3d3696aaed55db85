"""The clients against the reference cloud: identity provider, DICOM service and link as processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest

from fixtures.clients import link as rule
from fixtures.clients.http import HttpClient, NoAnswer, UnexpectedStatus
from fixtures.clients.identity import token_request
from fixtures.clients.link import Match, Rule
from fixtures.data import Run, make_series
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.ledger import Ledger, judge
from fixtures.evidence.truth import CloudTruth
from fixtures.faults.outage import FaultWindow, http_fails, http_works, outage
from tests.clients.cloud_peers import AUDIENCE, NOROLE, OWNER, CloudPeers, running_cloud


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudPeers]:
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


def test_tokens_come_by_azure_identity_whatever_the_environment_trusts(
    peers: CloudPeers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = tmp_path / "bundle.pem"
    stranger.write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    source = peers.token()

    token = source()

    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["roles"] == ["DICOM Data Owner"]
    assert source() == token
    assert source.renew() != token


@pytest.mark.parametrize(("form", "issuer"), [("v1", "/"), ("v2", "/v2.0")])
def test_token_requests_by_hand_show_every_answer(
    peers: CloudPeers, recorder: Recorder, form: str, issuer: str
) -> None:
    http = peers.identity_http(recorder)
    good = token_request(http, peers.identity, OWNER, audience=AUDIENCE, form=form)
    bad = token_request(
        http, peers.identity, OWNER, audience=AUDIENCE, form=form, overrides={"client_secret": "no"}
    )

    assert good.status == 200
    claims = jwt.decode(good.json()["access_token"], options={"verify_signature": False})
    assert claims["iss"].endswith(issuer)
    assert bad.status in (400, 401)
    shown = repr(recorder.exchanges)
    assert OWNER.secret not in shown
    assert good.json()["access_token"] not in shown
    with pytest.raises(ValueError, match="'v1' or 'v2'"):
        token_request(http, peers.identity, OWNER, audience=AUDIENCE, form="v3")


def test_admin_changes_roles_and_mints_tokens(peers: CloudPeers, recorder: Recorder) -> None:
    admin, norole = peers.admin(recorder), peers.http(recorder, application=NOROLE)

    def search_as(token: Callable[[], str] | None) -> int:
        client = norole.with_token(token)
        status = client.request("GET", "/v2/studies", headers=[("Accept", "application/dicom+json")]).status
        client.close()
        return status

    assert search_as(peers.token(NOROLE)) == 403
    admin.set_application(NOROLE.client_id, roles=["DICOM Data Reader"])
    assert search_as(peers.token(NOROLE)) in (200, 204)
    admin.set_application(NOROLE.client_id, roles=[])

    assert search_as(lambda: admin.mint({}, client_id=OWNER.client_id)) in (200, 204)
    assert search_as(lambda: admin.mint({}, client_id=OWNER.client_id, sign_with="foreign")) == 401
    assert search_as(None) == 401
    assert admin.requests()


def test_store_and_truth(peers: CloudPeers, recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 3)
    cloud, ledger = peers.dicomweb(recorder), Ledger()
    for instance in series.instances:
        ledger.attempt(instance.fingerprint, "stow")
    stored = cloud.store(series.instances)
    for uid in stored.stored:
        ledger.answer(uid, "stow", stored.status)
    again = cloud.store(series.instances)

    assert (stored.status, stored.problems) == (200, ())
    assert (again.status, set(again.failed.values())) == (409, {45070})
    truth = CloudTruth(cloud)
    assert judge(ledger, "cloud", truth.fingerprints([series.study_instance_uid])).valid is True
    assert series.study_instance_uid in truth.study_uids()
    entries = [entry["sopInstanceUid"] for entry in cloud.change_feed_all()]
    assert series.sop_instance_uids <= set(entries)
    assert cloud.delete(series.study_instance_uid).status == 204
    assert list(truth.fingerprints([series.study_instance_uid])) == []


def test_rules_of_the_link(peers: CloudPeers, recorder: Recorder, run: Run) -> None:
    control, cloud = peers.link(recorder), peers.dicomweb(recorder, linked=True)
    series = make_series(run, 1, 1)
    control.set_rules(
        "cloud",
        [
            Rule("no answer", rule.reset("after"), Match(method="POST", times=1)),
            Rule("lie", rule.pretend_stored(), Match(method="POST", times=1)),
            Rule("busy", rule.respond(503, "later", {"Retry-After": "1"}), Match(method="POST", times=1)),
        ],
    )

    with pytest.raises(NoAnswer):
        cloud.store(series.instances)
    pretended, refused, real = (cloud.store(series.instances) for _ in range(3))

    assert set(pretended.stored) == series.sop_instance_uids
    assert (refused.status, refused.response.header("Retry-After")) == (503, "1")
    # The first one was stored, although its answer was lost.
    assert (real.status, set(real.failed.values())) == (409, {45070})
    assert [each["hits"] for each in control.rules("cloud")] == [1, 1, 1]
    seen = control.exchanges("cloud")
    assert [each["rule"] for each in seen if each["method"] == "POST"][:3] == ["no answer", "lie", "busy"]
    control.heal_all()
    assert control.rules("cloud") == []
    cloud.delete(series.study_instance_uid)


@pytest.mark.parametrize("kind", ["refuse", "reset", "blackhole"])
def test_outage_of_the_link_bites_and_heals(peers: CloudPeers, recorder: Recorder, kind: str) -> None:
    windows: list[FaultWindow] = []
    quick = HttpClient(peers.linked_url, recorder=recorder, ca_file=peers.ca_file, timeout=0.5)
    probe, healed = http_fails(quick, "/health/check"), http_works(quick, "/health/check")

    with outage(peers.link(recorder), ["cloud"], kind, probe=probe, healed=healed, windows=windows) as proof:
        assert "no answer" in proof

    assert quick.request("GET", "/health/check").status == 200
    quick.close()
    assert windows[0].name == f"{kind} on cloud"


def test_unknown_route_is_refused_with_the_names(peers: CloudPeers, recorder: Recorder) -> None:
    with pytest.raises(UnexpectedStatus, match="cloud"):
        peers.link(recorder).set_fault("nowhere", "refuse")
