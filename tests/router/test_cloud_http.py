"""What every request to the cloud says of encodings: nothing is asked for that the router would not undo."""

import asyncio
import gzip
from pathlib import Path

import pytest
from aiohttp import web

from systems.router.cloud.http import Answer, CloudHttp
from systems.router.config import load
from systems.router.runtime import make_tokens
from tests.router.conftest import config_text


def test_a_service_that_compresses_on_request_is_not_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ADMIN_TOKEN", "x")

    async def compressing(request: web.Request) -> web.Response:
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
        return web.Response(body=b"{}")

    async def ask() -> Answer:
        runner = web.ServerRunner(web.Server(compressing), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        path = tmp_path / "router.toml"
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        path.write_text(config_text(tmp_path, url, 1, cloud_credential=None))
        config = load(path)
        http = CloudHttp(config.cloud, make_tokens(config))
        try:
            return await http.request("GET", "/studies", headers={})
        finally:
            await http.close()
            await runner.cleanup()

    assert asyncio.run(ask()).body == b"{}"
