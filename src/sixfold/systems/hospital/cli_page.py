"""`sixfold hospital page FOLDER`: the operator's page, in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["page"]


def page(
    folder: Annotated[Path, typer.Argument(help="The coordinator's: it holds federation.yaml and kit/.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; loopback unless told, as nobody is asked who they are.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for one that is free.")] = 0,
) -> None:
    """Serve a page that shows rounds, budgets, the gate and alarms of a coordinator's folder, until Ctrl-C."""
    import ipaddress
    import socket

    import uvicorn

    from sixfold.errors import ConfigError
    from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder
    from sixfold.systems.hospital.page_server import create_app

    CoordinatorFolder.read(folder)  # what is wrong in it is said before anything listens
    try:
        loopback = ipaddress.ip_address(host).is_loopback
        listener = socket.create_server((host, port))
    except (ValueError, OSError) as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}") from None
    print(f"page  http://{host}:{listener.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)
    server = uvicorn.Server(uvicorn.Config(create_app(folder, loopback=loopback), log_level="warning", ws="none"))
    server.run(sockets=[listener])
