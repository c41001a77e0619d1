"""Flower's SuperNode, asking its SuperLink for messages more often than every three seconds."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

__all__ = ["run"]


def run(pause_s: float) -> None:
    """Run `flower-supernode` with the arguments of this process, pausing at most `pause_s` between two questions.

    Flower's loop sleeps 3 s when no message is there and 0.5 s while the site works, and has no setting for either:
    its module gets a `time` whose sleep is shorter. Nothing else of the SuperNode is changed.
    """
    from flwr.supernode import start_client_internal as loop
    from flwr.supernode.cli.flower_supernode import flower_supernode

    loop.time = SimpleNamespace(sleep=lambda wanted_s: time.sleep(min(wanted_s, pause_s)))
    flower_supernode()


if __name__ == "__main__":
    pause = float(sys.argv.pop(1))
    run(pause)
