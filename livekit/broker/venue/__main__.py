"""``python -m livekit.broker.venue``: serve one book on loopback until the input ends.

Started by `livekit.broker.venue.session.served_venue`, which passes the keys in the environment,
reads the port from the first line of output, and closes our input when it is done or dies.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence

import uvicorn

from livekit.broker.venue.http import http_server, loopback_socket
from livekit.broker.venue.session import VenueSpec, keys_from, open_app

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the venue that the arguments describe."""
    parser = argparse.ArgumentParser(prog="python -m livekit.broker.venue")
    for name in ("--book", "--prices", "--start", "--settings"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args(arguments)
    spec = VenueSpec.of_arguments(given.book, given.prices, given.start, given.settings)
    with open_app(spec, keys_from(os.environ)) as app, loopback_socket(given.port) as listening:
        port = listening.getsockname()[1]
        server = http_server(app, port)
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        server.run(sockets=[listening])


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    server.should_exit = True


if __name__ == "__main__":
    main()
