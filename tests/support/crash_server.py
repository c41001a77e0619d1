"""Run one build in forked children that are killed at chosen moments, again and again until it is done.

    python crash_server.py '{"inputs": [...], "index": "...", "seed": 1, "capacity_bytes": 100000, "links": "..."}'

A child is killed by SIGKILL just before the n-th thing that it does to the file system (n is drawn), or after a
drawn time. Prints {"kills": ..., "summary": ...}. The models are loaded once, before the forks.
"""

import json
import os
import random
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from make_build import PRESET, keep_journals

from sixfold.axes import Axis
from sixfold.systems.rag.build import build
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.build_folder import BuildSettings
from sixfold.systems.rag.clean.language import identify
from sixfold.systems.rag.crew import SerialCrew

FEW = 4
A_CHANGE_S = 0.005  # about what lies between two: a longer life would let a fast machine finish a small build
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


def progress(index: Path) -> set[str]:
    """What a killed build leaves for the next one: whole files, of deduplication only its end."""
    files = (path.relative_to(index) for path in index.rglob("*") if path.is_file())
    return {str(f) for f in files if "/." not in f"/{f}" and f.suffix != ".arrow"}


def main() -> None:
    task = json.loads(sys.argv[1])
    index = Path(task["index"])
    draw = random.Random(task["seed"])
    settings = BuildSettings(preset=PRESET, capacity_bytes=task["capacity_bytes"])
    embedder().embed(["Load the model."])
    identify("Load the model.")
    kills = 0
    most, before = FEW, progress(index)
    while True:
        after_events = draw.randint(1, most)
        after_s = draw.uniform(0.0, A_CHANGE_S * most) if draw.random() < 0.25 else None
        result = index.with_name("result.json")
        child = os.fork()
        if child == 0:
            try:
                if after_s is None:
                    kill_at(after_events)
                crew = SerialCrew(Axis.DATA)
                summary = build(task["inputs"], index, settings, crew, lambda *_: None)
                result.write_text(json.dumps(asdict(summary)))
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        if after_s is not None:
            time.sleep(after_s)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            if os.WEXITSTATUS(status):
                sys.exit(f"after {kills} kills the build failed")
            break
        kills += 1
        now = progress(index)
        most, before = FEW if now > before else most + FEW, now  # a step that is begun anew needs a longer life
        keep_journals(index, Path(task["links"]))
    print(json.dumps({"kills": kills, "summary": json.loads(result.read_text())}))


main()
