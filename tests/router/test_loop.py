"""The loop's descriptors when peers reset connections."""

import subprocess
import sys
import textwrap

RESETS_UNDER_TLS = textwrap.dedent(
    """
    import asyncio, os, socket, ssl, struct, threading
    import aiohttp
    from systems.router.loop import RouterLoop

    listener = socket.create_server(("127.0.0.1", 0))

    def reset_all():
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    async def connect(session):
        try:
            await session.get(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        except aiohttp.ClientConnectionError:
            return

    async def main():
        async with aiohttp.ClientSession() as session:
            for _ in range(150):
                await asyncio.gather(*(connect(session) for _ in range(4)))
                others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
                await asyncio.sleep(0)
                for descriptor in others:
                    os.close(descriptor)

    threading.Thread(target=reset_all, daemon=True).start()
    with asyncio.Runner(loop_factory=RouterLoop) as runner:
        runner.run(main())
    print("every descriptor was still there")
    """
)


def test_connections_reset_in_the_tls_handshake_close_no_descriptor_of_others() -> None:
    # In a process of its own: uvloop as it comes closes others' descriptors here, and libuv then aborts the process.
    done = subprocess.run(
        [sys.executable, "-c", RESETS_UNDER_TLS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "every descriptor was still there"), done.stderr
