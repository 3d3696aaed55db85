"""The program curl as a client of the service."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from fixtures.clients.answers import Response
from fixtures.traceability.verdicts import not_applicable
from suites.azure.service import Service

_SECONDS = 60


class Curl:
    """Calls curl as the tutorial does. The token goes in by standard input: an argument list is for everybody to read."""

    def __init__(self, service: Service, version: str, folder: Path) -> None:
        program = shutil.which("curl")
        if program is None:
            not_applicable("curl is not on this machine", probe="no program curl on the PATH")
        cloud = service.deployment.cloud
        self._program = program
        self._base = f"{cloud.url}/{version}"
        self._ca_file = cloud.ca_file
        self._token: Callable[[], str] = service.tokens("owner")
        self._folder = folder

    def file(self, name: str, content: bytes) -> Path:
        """A file that an argument can name."""
        path = self._folder / name
        path.write_bytes(content)
        return path

    def __call__(
        self, method: str, path: str, *arguments: str, headers: Sequence[tuple[str, str]] = ()
    ) -> Response:
        """`curl --request METHOD URL --header ... ARGUMENTS`, and what was answered."""
        body, head = self._folder / "body", self._folder / "head"
        body.unlink(missing_ok=True)
        command = [
            *(self._program, "--disable", "--silent", "--show-error", "--noproxy", "*"),
            *("--max-time", str(_SECONDS), "--config", "-"),
            *("--output", str(body), "--dump-header", str(head)),
            *(("--cacert", str(self._ca_file)) if self._ca_file else ()),
            *("--request", method, f"{self._base}{path}"),
            *(word for name, value in headers for word in ("--header", f"{name}: {value}")),
            *arguments,
        ]
        done = subprocess.run(
            command,
            input=f'header = "Authorization: Bearer {self._token()}"\n',
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.defpath, "HOME": str(self._folder)},
        )
        assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr}"
        return _answer(head.read_bytes(), body.read_bytes() if body.exists() else b"")


def _answer(head: bytes, body: bytes) -> Response:
    """The last answer: a 100 Continue or a redirect stands before it."""
    last = head.decode("latin-1").strip().split("\r\n\r\n")[-1].splitlines()
    _, status, *reason = last[0].split(" ", 2)
    headers = tuple(
        (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in last[1:])
    )
    return Response(int(status), headers, body, "".join(reason))
