"""Runs localstripe's application on 127.0.0.1 until standard input is closed; prints its address.

A process of its own: `python -m tests.emulators.localstripe`. The library's command would listen on
every interface, and both would keep what they hold in a file in /tmp.
"""

import asyncio
import sys

from aiohttp import web
from localstripe.resources import Store
from localstripe.server import app


async def serve() -> None:
    Store.dump_to_disk = lambda _store: None
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve())
