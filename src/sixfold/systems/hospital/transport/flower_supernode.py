"""Flower's SuperNode, with a shorter pause between two questions, and back at once after a crash."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["run"]


def run(pause_s: float) -> None:
    """Run `flower-supernode` with the arguments of this process, pausing at most `pause_s` between two questions.

    Flower's loop sleeps 3 s when no message is there and 0.5 s while the site works, and has no setting for either:
    its module gets a `time` whose sleep is shorter. And a SuperLink turns a SuperNode away whose last connection it
    still believes in, for a minute after a crash: this one first takes leave for its predecessor.
    """
    from flwr.supernode import start_client_internal as loop
    from flwr.supernode.cli.flower_supernode import flower_supernode

    connect = loop.http_request_response
    last = Path(os.environ["FLWR_HOME"]) / "node-id"

    @contextlib.contextmanager
    def reconnect(address: str, insecure: bool, root: Any, keys: Any, *more: Any) -> Iterator[Any]:
        if last.exists():
            _take_leave(int(last.read_text()), address, insecure, root, keys)
        with connect(address, insecure, root, keys, *more) as connection:
            last.write_text(str(connection[0]))
            yield connection

    loop.http_request_response = reconnect
    loop.time = SimpleNamespace(sleep=lambda wanted_s: time.sleep(min(wanted_s, pause_s)))
    flower_supernode()


def _take_leave(node_id: int, address: str, insecure: bool, root: Any, keys: Any) -> None:
    """Tell the SuperLink that this SuperNode is not connected; that it was not is no error."""
    import httpx
    from flwr.proto.fleet_pb2 import DeactivateNodeRequest
    from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
    from flwr.supernode.fleet_http_client import FleetHttpClient
    from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

    interceptors = [RuntimeVersionHttpInterceptor(component_name="SuperNode"), NodeAuthHttpInterceptor(*keys)]
    with (
        contextlib.suppress(httpx.HTTPError),
        FleetHttpClient.from_server_address(address, insecure, root, interceptors) as client,
    ):
        client.DeactivateNode(DeactivateNodeRequest(node_id=node_id))


if __name__ == "__main__":
    pause = float(sys.argv.pop(1))
    run(pause)
