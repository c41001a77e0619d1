"""Killed at any moment, an upsert, a removal or a merge leaves the old generation or the new one, whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import make_live
import pytest

SUPPORT = Path(make_live.__file__).parent


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_before_any_change_of_the_file_system(seed, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SUPPORT)}
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "live_crash_server.py"), str(tmp_path / "index"), str(seed), "80"],
        capture_output=True, text=True, env=environment, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] >= 10
    assert told["merges"] >= 3
