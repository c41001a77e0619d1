import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sixfold.errors import ConfigError
from sixfold.lab.lab import Lab, mask_address
from sixfold.lab.local_ray import THREAD_PINS, short_temp_dir, usable_cores

DRIVER = """
import sys, time
import ray
from sixfold.lab.lab import Lab

with Lab.local(workers=1) as lab:
    @ray.remote
    def pid():
        import os
        return os.getpid()
    print(ray.get(pid.remote()), lab._temp_dir, flush=True)
    time.sleep(60)
"""


@pytest.mark.ray
def test_workers_are_pinned_to_one_thread_and_share_the_directory(ray_lab: Lab) -> None:
    import ray

    @ray.remote
    def look() -> tuple[dict[str, str | None], str]:
        return {name: os.environ.get(name) for name in THREAD_PINS}, os.getcwd()

    environment, directory = ray.get(look.remote())
    assert environment == dict(THREAD_PINS)
    assert directory == os.getcwd(), "the working directory was uploaded"


@pytest.mark.ray
def test_everything_listens_on_loopback_only(ray_lab: Lab) -> None:
    listening = [
        connection.laddr.ip
        for child in psutil.Process().children(recursive=True)
        for connection in child.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


@pytest.mark.ray
def test_describe_says_where_it_ran(ray_lab: Lab) -> None:
    import ray

    described = ray_lab.describe()
    assert described == {
        "kind": "local",
        "address": "local",
        "workers": 2,
        "oversubscribed": usable_cores() < 2,
        "nodes": 1,
        "node_cpus": [2],
        "ray_version": ray.__version__,
    }


@pytest.mark.ray
def test_a_lab_on_a_running_ray_shares_it_and_leaves_it_running(ray_lab: Lab) -> None:
    import ray

    with Lab.local(workers=1) as inner:
        assert inner.workers == 1
    assert ray.is_initialized()
    with pytest.raises(ConfigError, match="2 workers, 3 were asked for"):
        Lab.local(workers=3)
    with pytest.raises(ConfigError, match="already runs in this process"):
        Lab.connect(ray.get_runtime_context().gcs_address)


JOINER = """
import os, sys
import ray
from sixfold.errors import UserError
from sixfold.lab.lab import Lab

@ray.remote
def look():
    return os.environ["OMP_NUM_THREADS"]

try:
    with Lab.connect(sys.argv[1]) as lab:
        print(lab.describe()["address"], lab.kind, lab.workers, ray.get(look.remote()))
except UserError as error:
    print("refused:", error)
"""


@pytest.mark.ray
@pytest.mark.parametrize("token", ["right", "wrong"])
def test_another_process_joins_only_with_the_token(ray_lab: Lab, token: str) -> None:
    import ray

    address = ray.get_runtime_context().gcs_address
    environment = dict(os.environ)
    if token == "wrong":
        environment |= {"RAY_AUTH_TOKEN": "0" * 64, "RAY_NUM_REDIS_GET_RETRIES": "1"}
    done = subprocess.run(
        [sys.executable, "-c", JOINER, address], env=environment, capture_output=True, text=True, timeout=60
    )
    if token == "right":
        assert done.stdout == f"***:{address.rpartition(':')[2]} cluster 2 1\n", done.stderr
    else:
        assert done.stdout.startswith("refused: could not join the ray cluster at ***:"), done.stderr
    assert ray.is_initialized()


@pytest.mark.ray
def test_no_process_outlives_an_interrupt_or_a_kill() -> None:
    drivers = [
        subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    families, directories = [], []
    for driver in drivers:
        assert driver.stdout is not None
        pid, directory = driver.stdout.readline().split(maxsplit=1)
        families.append([(child, child.name()) for child in psutil.Process(driver.pid).children(recursive=True)])
        directories.append(Path(directory.strip()))
        assert int(pid) in {child.pid for child, _ in families[-1]}
    drivers[0].send_signal(signal.SIGINT)
    drivers[1].kill()
    assert "KeyboardInterrupt" in drivers[0].communicate(timeout=60)[1]
    drivers[1].communicate(timeout=60)
    assert not directories[0].exists()
    assert not short_temp_dir().rmdir()  # a start sweeps
    assert not directories[1].exists()
    assert psutil.wait_procs([process for process, _ in families[0]], timeout=30)[1] == []
    at_once = [process for process, name in families[1] if "Agent" not in name]
    assert len(at_once) >= 5
    assert psutil.wait_procs(at_once, timeout=30)[1] == []


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True])
def test_a_wrong_number_of_workers_is_refused(workers: object) -> None:
    with pytest.raises(ConfigError, match="expected a whole number of at least 1"):
        Lab.local(workers=workers)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["", "here", "host:", ":6379", "host:99999", "host:abc"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="expected host:port"):
        Lab.connect(address)


def test_a_silent_address_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        start = time.perf_counter()
        with pytest.raises(ConfigError, match=f"nobody answers at 127.0.0.1:{port}"):
            Lab.connect(f"127.0.0.1:{port}")
        assert time.perf_counter() - start < 5


def test_addresses_are_masked() -> None:
    assert mask_address("10.0.0.7:6379") == "***:6379"
    assert mask_address("ray://head.example.org:10001") == "ray://***:10001"
    assert mask_address("auto") == "auto"
