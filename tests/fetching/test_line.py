"""Lines to servers: what is set on a socket before it connects."""

from __future__ import annotations

import socket
import sys

from astra_registry.fetching.transports.http.line import Line
from astra_registry.fetching.transports.origin import split


def test_a_server_may_send_a_megabyte_at_first_and_a_byte_wakes_who_waits_for_it():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin, _ = split(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        line = Line(connect_timeout=5, timeout=5)
        connection = line.open(origin, None, 5)
        try:
            room = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            assert room >= 1 << 20 or sys.platform != "linux"  # other kernels are left to themselves
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
        finally:
            line.close(connection)
