"""Take something down in forked children that are killed at chosen moments, again and again until it is done.

    python takedown_server.py '{"index": "...", "crawls": ["..."], "url": "...", "seed": 1}'

As crash_server.py does it with builds. Prints {"kills": ..., "receipt": ...}.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

from sixfold.systems.rag.takedown import takedown

FEW = 6
TOUCHES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate", "fcntl.flock"}


def kill_at(event_number: int) -> None:
    """Die by SIGKILL before the n-th change of the file system."""
    left = event_number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHES or (event == "open" and str(arguments[1]).strip("rbt")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    task = json.loads(sys.argv[1])
    draw = random.Random(task.pop("seed"))
    receipt = Path(task["index"]) / "takedowns" / "0001.json"
    kills, most = 0, FEW
    while True:
        life = draw.randint(most // 2, most)
        child = os.fork()
        if child == 0:
            try:
                kill_at(life)
                takedown(**task, grace_s=0.0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
            sys.exit(f"after {kills} kills the takedown failed")
        kills += os.WIFSIGNALED(status)
        if receipt.exists() and json.loads(receipt.read_text())["state"] == "complete":
            break
        most += FEW
    print(json.dumps({"kills": kills, "receipt": json.loads(receipt.read_text())}))


main()
