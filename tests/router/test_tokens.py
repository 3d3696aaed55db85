"""ROUTER-120 to 122: forms, cache, renewal and what a refusal means."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from systems.router.cloud.client import trust
from systems.router.cloud.errors import CloudUnauthorisedError, CloudUnreachableError
from systems.router.cloud.tokens import ClientCredentials
from systems.router.config import Credential, SecretSource
from tests.router.fakes import FakeCloud


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(
    cloud: FakeCloud,
    folder: Path,
    work: Callable[[ClientCredentials, Clock], Awaitable[None]],
    form: str = "v2",
) -> None:
    (folder / "secret").write_text("right\n")
    credential = Credential(
        form, f"{cloud.url}/token", "me", SecretSource(file=folder / "secret"), "audience", None
    )

    async def inside() -> None:
        clock = Clock()
        await work(ClientCredentials(credential, trust(None), clock=clock), clock)

    asyncio.run(inside())


@pytest.mark.parametrize(("form", "key"), [("v1", "resource"), ("v2", "scope")])
def test_form_names_the_audience_as_its_version_does(
    cloud: FakeCloud, tmp_path: Path, form: str, key: str
) -> None:
    async def work(tokens: ClientCredentials, _: Clock) -> None:
        assert await tokens.token() == "token-1"

    run(cloud, tmp_path, work, form)
    assert cloud.token_requests == [
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": "right", key: "audience"}
    ]


def test_one_token_is_shared_and_one_renewal_is_in_flight(cloud: FakeCloud, tmp_path: Path) -> None:
    async def work(tokens: ClientCredentials, _: Clock) -> None:
        assert set(await asyncio.gather(*(tokens.token() for _ in range(20)))) == {"token-1"}

    run(cloud, tmp_path, work)
    assert len(cloud.token_requests) == 1


@pytest.mark.parametrize(("life", "renewed_after"), [(100, 80), (3600, 3300)])
def test_renewal_at_80_percent_but_not_more_than_5_minutes_early(
    cloud: FakeCloud, tmp_path: Path, life: int, renewed_after: int
) -> None:
    cloud.token_life = life

    async def work(tokens: ClientCredentials, clock: Clock) -> None:
        await tokens.token()
        clock.now += renewed_after - 1
        assert await tokens.token() == "token-1"
        clock.now += 2
        assert await tokens.token() == "token-2"

    run(cloud, tmp_path, work)


def test_failed_renewal_keeps_a_valid_token_and_an_expired_one_is_not_used(
    cloud: FakeCloud, tmp_path: Path
) -> None:
    async def work(tokens: ClientCredentials, clock: Clock) -> None:
        await tokens.token()
        cloud.stop()
        clock.now += 3400
        assert await tokens.token() == "token-1"
        clock.now += 300
        with pytest.raises(CloudUnreachableError):
            await tokens.token()
        cloud.start()
        assert await tokens.token() == "token-2"

    run(cloud, tmp_path, work)


def test_invalidating_an_older_token_keeps_the_newer_one(cloud: FakeCloud, tmp_path: Path) -> None:
    async def work(tokens: ClientCredentials, _: Clock) -> None:
        first = await tokens.token()
        tokens.invalidate(first)
        second = await tokens.token()
        tokens.invalidate(first)
        assert await tokens.token() == second

    run(cloud, tmp_path, work)
    assert len(cloud.token_requests) == 2


def test_refused_client_is_not_an_outage_and_the_secret_is_read_anew(
    cloud: FakeCloud, tmp_path: Path
) -> None:
    cloud.secret = "new"  # noqa: S105

    async def work(tokens: ClientCredentials, _: Clock) -> None:
        with pytest.raises(CloudUnauthorisedError, match="invalid_client") as caught:
            await tokens.token()
        assert "right" not in str(caught.value)
        (tmp_path / "secret").write_text("new")
        assert await tokens.token()
        (tmp_path / "secret").unlink()
        tokens.invalidate()
        with pytest.raises(CloudUnauthorisedError, match="secret file"):
            await tokens.token()

    run(cloud, tmp_path, work)
