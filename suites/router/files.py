"""The router's configuration file as its administrator edits it, where the router runs."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fixtures.deployment.deployment import Deployment
from fixtures.deployment.runs import LABEL
from suites.router.settings import FILE

_IN_CONTAINER = "/conformance/config"


@contextmanager
def edited(deployment: Deployment, change: Callable[[str], str]) -> Iterator[None]:
    """Put a changed file in the place of the router's for the length of the block; loading it is the router's matter."""
    before = _read(deployment)
    _write(deployment, change(before))
    try:
        yield
    finally:
        _write(deployment, before)


def _read(deployment: Deployment) -> str:
    if deployment.runner != "docker":
        return (deployment.run_dir / "router" / "config" / FILE).read_text(encoding="utf-8")
    with _container(deployment) as container:
        chunks, _ = container.get_archive(f"{_IN_CONTAINER}/{FILE}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            member = archive.extractfile(FILE)
            assert member is not None, f"the container has no {FILE}"
            return member.read().decode()


def _write(deployment: Deployment, text: str) -> None:
    if deployment.runner != "docker":
        (deployment.run_dir / "router" / "config" / FILE).write_text(text, encoding="utf-8")
        return
    content, packed = text.encode(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(FILE)
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    with _container(deployment) as container:
        assert container.put_archive(_IN_CONTAINER, packed.getvalue()), f"{FILE} could not be written"


@contextmanager
def _container(deployment: Deployment) -> Iterator[Any]:
    from fixtures.deployment import engine  # noqa: PLC0415 - what the process runner need not load

    client = engine.connect()
    try:
        labels = [f"{LABEL}.run={deployment.run_id}", f"{LABEL}.role=router"]
        (container,) = client.containers.list(filters={"label": labels})
        yield container
    finally:
        client.close()
