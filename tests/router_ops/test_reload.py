"""ROUTER-008, ROUTER-199: the configuration is loaded anew without a restart, as a whole or not at all."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.waiting import eventually
from systems.router.config import load
from systems.router.config.changes import changes
from systems.router.errors import ConfigError
from tests.router.conftest import MakeRouter, RouterProcess, config_text
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send

_RULE = '[[rules]]\nname = "mr"\ndestinations = ["cloud"]\nmodalities = ["MR"]\n'


def _write(router: RouterProcess, cloud: FakeCloud, pacs: FakePacs, **extra: str | None) -> None:
    router.config.write_text(config_text(router.folder, cloud.url, pacs.port, **extra))


def test_rules_and_limits_change_at_once_and_the_port_waits(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    intake = 'host = "127.0.0.1"\nport = 1\nallowed_calling_aes = ["X"]'
    _write(router, cloud, pacs, **{"+rules": _RULE, "paths_modality-intake": intake})

    first = router.ask("POST", "/config/load?dry_run=true").json()
    assert router.ask("GET", "/config").json()["rules"] == []
    answer = router.ask("POST", "/config/load")

    assert answer.status_code == 200, answer.text
    assert answer.json() == first | {"dry_run": False}
    assert answer.json()["applied"] == ["paths.modality-intake.allowed_calling_aes", "rules"]
    assert answer.json()["needs_restart"] == ["paths.modality-intake.port"]
    assert router.ask("GET", "/config").json()["rules"][0]["name"] == "mr"
    status = router.status()
    assert status["configuration"]["needs_restart"] == ["paths.modality-intake.port"]
    assert any("restart" in warning for warning in status["warnings"])
    assert router.path("modality-intake")["port"] == router.intake

    assert send(router.intake, [make_dataset()], calling="OTHER") == [None]
    assert send(router.intake, [make_dataset(Modality="MR"), make_dataset()], calling="X") == [0, 0]
    eventually(lambda: len(cloud.stored) == 1, within=10, because="the object of the rule")
    assert router.status()["held"] == 1
    assert not pacs.stored
    assert '"operator configuration"' in router.ask("GET", "/audit").text


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ({"spool": "memory_object_bytes = 0"}, "spool.memory_object_bytes"),
        ({"spool": "memory_objekt_bytes = 9"}, "spool.memory_objekt_bytes"),
        ({"+rules": _RULE.replace("cloud", "nowhere")}, "rules[0].destinations"),
        ({"+rules": "[[rules"}, "is not valid TOML"),
    ],
)
def test_unusable_file_names_the_key_and_changes_nothing(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs, extra: dict[str, str], key: str
) -> None:
    before = router.ask("GET", "/config").json()
    _write(router, cloud, pacs, **extra, alarms="oldest_task_seconds = 7")

    answer = router.ask("POST", "/config/load")

    assert answer.status_code == 400
    assert key in answer.json()["error"]
    assert router.ask("GET", "/config").json() == before
    assert any("refused" in alarm and key in alarm for alarm in router.status()["alarms"])
    assert send(router.intake, [make_dataset()]) == [0]

    _write(router, cloud, pacs)
    assert router.ask("POST", "/config/load").json()["applied"] == []
    assert not router.status()["alarms"]


def test_sighup_loads_the_file(router: RouterProcess, cloud: FakeCloud, pacs: FakePacs) -> None:
    _write(router, cloud, pacs, alarms="oldest_task_seconds = 7")
    assert router.process is not None
    router.process.send_signal(signal.SIGHUP)
    eventually(
        lambda: router.ask("GET", "/config").json()["alarms"]["oldest_task_seconds"] == 7,
        within=10,
        because="the loaded alarm",
    )
    _write(router, cloud, pacs, alarms="oldest = 7")
    router.process.send_signal(signal.SIGHUP)
    eventually(lambda: bool(router.status()["alarms"]), within=10, because="the alarm of the refused file")
    assert router.process.poll() is None


def test_new_admin_token_counts_from_the_load_on(make_router: MakeRouter, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    router = make_router(admin=f'host = "127.0.0.1"\nport = 0\ntoken_file = "{token}"')
    token.write_text("second")
    assert router.ask("POST", "/config/load", token="first").status_code == 200  # noqa: S106
    assert router.ask("GET", "/status", token="first").status_code == 401  # noqa: S106
    assert router.ask("GET", "/status", token="second").status_code == 200  # noqa: S106


def test_pacs_that_moved_gets_its_backlog(router: RouterProcess, cloud: FakeCloud, pacs: FakePacs) -> None:
    pacs.stop()
    assert send(router.intake, [make_dataset() for _ in range(3)]) == [0, 0, 0]
    eventually(lambda: len(cloud.stored) == 3, within=10, because="the copies in the cloud")
    moved = FakePacs()
    try:
        _write(router, cloud, moved)
        assert router.ask("POST", "/config/load").json()["applied"] == ["peers"]
        eventually(lambda: len(moved.stored) == 3, within=15, because="the backlog at the new address")
    finally:
        moved.stop()
        pacs.start()


def test_what_only_comes_with_a_restart_cannot_be_named_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    (tmp_path / "secret").write_text("x")
    file = tmp_path / "router.toml"
    file.write_text(config_text(tmp_path, "http://127.0.0.1:1", 4))
    running = load(file)
    extra = '[[destinations]]\nname = "research"\nkind = "dimse"\npeer = "ORTHANC"\n'
    file.write_text(config_text(tmp_path, "http://127.0.0.1:1", 4, **{"+d": extra}))
    assert changes(running, load(file)).needs_restart == ("destinations",)
    file.write_text(
        config_text(
            tmp_path, "http://127.0.0.1:1", 4, **{"+d": extra, "+r": _RULE.replace("cloud", "research")}
        )
    )
    with pytest.raises(ConfigError, match=r"rules\[0\].destinations: research"):
        changes(running, load(file))


def test_pace_of_a_destination_changes_at_once_its_workers_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")
    (tmp_path / "secret").write_text("x")
    file = tmp_path / "router.toml"
    file.write_text(config_text(tmp_path, "http://127.0.0.1:1", 4))
    running = load(file)
    first, *others = running.destinations
    faster = replace(running, destinations=(replace(first, rate_per_second=9.0), *others))
    wider = replace(running, destinations=(replace(first, concurrency=9), *others))
    assert changes(running, faster).applied == ("destinations",)
    assert changes(running, faster).config.destinations[0].rate_per_second == 9
    assert changes(running, wider).needs_restart == ("destinations",)


def test_prefetch_limits_change_at_once_and_its_listener_waits(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TEST_ADMIN_TOKEN", "TEST_CLIENT_SECRET"):
        monkeypatch.setenv(name, "any")
    without = load(router.config)
    _write(router, cloud, pacs, prefetch="on_arrival = false", prefetch_hl7='port = 1\nhost = "127.0.0.1"')
    before = load(router.config)
    tables = {"prefetch": "window_seconds = 7", "prefetch_priors": "max_count = 3"}
    _write(router, cloud, pacs, **tables, prefetch_hl7='port = 2\nhost = "127.0.0.1"')
    after = load(router.config)

    found = changes(before, after)

    assert found.applied == ("prefetch.priors", "prefetch.window_seconds")
    assert found.needs_restart == ("prefetch.hl7",)
    assert found.config.prefetch is not None
    assert found.config.prefetch.priors.max_count == 3
    assert changes(without, after).needs_restart == ("prefetch",)
    assert changes(after, without).needs_restart == ("prefetch",)
