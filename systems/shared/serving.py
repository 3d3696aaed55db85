"""Starting HTTP servers: clear start-up errors, one or several worker processes, graceful ends."""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

BAD_USAGE = 2
UNAVAILABLE = 3
_CLOSING_SECONDS = 0.5

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The program cannot start: a sentence for the operator and the exit code."""

    def __init__(self, message: str, code: int = UNAVAILABLE) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and key of a server, PEM files."""

    certificate: Path
    key: Path


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `StartError` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is taken; stop what listens there or use another --port"
            ) from error
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def serve(
    application: Callable[..., Any],
    listener: socket.socket,
    *,
    tls: Tls | None = None,
    workers: int = 1,
    grace: int = 30,
) -> None:
    """Serve the ASGI `application` until SIGTERM or SIGINT; running requests get `grace` seconds to finish.

    With several workers the listening socket is shared by forked processes, a worker that dies is replaced, and all
    end with their parent, however it ends.
    """
    config = _config(application, tls, grace)
    if workers == 1:
        _serve_here(config, listener, parent=None)
    else:
        _Supervisor(config, listener, workers).run()


def _config(application: Callable[..., Any], tls: Tls | None, grace: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=grace,
        backlog=2048,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
    )


def _serve_here(config: uvicorn.Config, listener: socket.socket, parent: int | None) -> None:
    """Run one server in this process; `parent` is a pipe that reads end-of-file when the parent is gone."""
    server = _Server(config)

    async def run() -> None:
        if parent is not None:
            # Like the parent's, a worker's end is then a crash: whoever starts the program again must not wait for it.
            asyncio.get_running_loop().add_reader(parent, os._exit, UNAVAILABLE)
        await server.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    if not server.started:
        raise StartError("the server could not start; the log says why")


class _Server(uvicorn.Server):
    """A server whose signals end it without being raised again, so that the exit code is ours."""

    def end(self) -> None:
        self.should_exit = True

    def capture_signals(self) -> Any:
        return _Captured(self)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, without waiting for peers that leave the closing of a TLS connection unanswered (RFC 8446 section 6.1)."""
        ending = asyncio.create_task(self._end_closed_connections())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()

    async def _end_closed_connections(self) -> None:
        closed: set[int] = set()
        while True:
            await asyncio.sleep(_CLOSING_SECONDS)
            transports = [connection.transport for connection in self.server_state.connections]
            # With nothing left to send all answers are out.
            silent = [t for t in transports if t and t.is_closing() and not t.get_write_buffer_size()]
            for transport in silent:
                if id(transport) in closed:
                    transport.abort()
            closed = {id(transport) for transport in silent}


class _Captured:
    def __init__(self, server: _Server) -> None:
        self._server = server

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._server.end)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            # Between the last request and the end of the process a second signal changes nothing any more.
            signal.signal(number, signal.SIG_IGN)


class _Supervisor:
    """Forks the workers and replaces those that die."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, workers: int) -> None:
        self._config = config
        self._listener = listener
        self._workers = workers
        self._pids: set[int] = set()
        self._ending = False
        self._read_end, self._write_end = os.pipe()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for _ in range(self._workers):
            self._fork()
        failures = 0
        while self._pids:
            pid, status = os.wait()
            self._pids.discard(pid)
            code = os.waitstatus_to_exitcode(status)
            if self._ending:
                continue
            failures += 1
            if failures > 5 * self._workers:
                self._end()
                raise StartError("worker processes keep ending; the log says why")
            _log.error("a worker process ended and is replaced", extra={"pid": pid, "exit_code": code})
            self._fork()

    def _end(self, *_: object) -> None:
        self._ending = True
        # Workers have it too: only when all have closed it are new connections refused.
        self._listener.close()
        for pid in self._pids:
            os.kill(pid, signal.SIGTERM)

    def _fork(self) -> None:
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._pids.add(pid)
            if self._ending:
                os.kill(pid, signal.SIGTERM)
            return
        os.close(self._write_end)
        code = 0
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            _serve_here(self._config, self._listener, self._read_end)
        except StartError as error:
            _log.error("%s", error)
            code = error.code
        finally:
            # A forked child must never unwind into its parent's frames.
            os._exit(code)
