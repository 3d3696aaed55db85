"""The end of a server: answers are finished, silent peers are not waited for."""

import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import trustme

_PROGRAM = """
import sys
from pathlib import Path
from systems.shared.serving import Tls, bind, serve

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

listener = bind("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
serve(application, listener, tls=Tls(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_idle_tls_peer_that_leaves_the_closing_unanswered_does_not_hold_up_the_end(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(chain), str(key)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as peer,
        ):
            peer.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert peer.recv(65536).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGTERM)
            # Half of the grace that running requests get: an idle connection has none.
            assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()
