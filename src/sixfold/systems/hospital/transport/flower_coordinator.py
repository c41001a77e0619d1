"""The coordinator's side of Flower: a Transport over a Grid, from a process of our own that `flwr run` did not start.

Opening it registers the hospitals' keys, starts a run and takes the run's ServerApp task over, as Flower's own
executor would. A coordinator that was killed is started again and opens a new run; the old one is stopped.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sixfold.errors import ConfigError, PrerequisiteError, first_line
from sixfold.systems.hospital.transport.flower_site import MESSAGE_TYPE, from_record, heartbeat, to_record
from sixfold.systems.hospital.transport.transport import Deadline, wait_more

__all__ = ["FlowerTransport", "Link", "open_flower", "register"]

_POLL_S = 0.05  # one question to the SuperLink about all answers
_ONLINE_PAUSE_S = 0.2
_AWAY_PAUSE_S = 1.0
_TASK_S = 15.0

# A run needs a Flower app. Ours has no code: the coordinator is this process, a hospital runs what is installed there.
_APP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "sixfold-hospital"
version = "1.0.0"
license = "Apache-2.0"
dependencies = []
[tool.flwr.app]
publisher = "sixfold"
[tool.flwr.app.components]
serverapp = "sixfold:none"
clientapp = "sixfold:none"
[tool.flwr.app.config]
"""


@dataclass(frozen=True, slots=True)
class Link:
    """Where the SuperLink is. ca: certificates that vouch for it; secret: lets a process take a run's task over."""

    address: str
    ca: Path
    secret: Path


class FlowerTransport:
    """Exchanges bytes with hospitals over a Flower Grid. Use as a context manager, or call `close`.

    nodes: a hospital's name -> Flower's id of its SuperNode. late: answers to exchanges that had ended, dropped.
    silent: site -> why it did not answer last time. A hospital may get a request twice: when the connection broke while
    it was sent, and when the hospital was away and came back.
    """

    def __init__(self, grid: Any, client: Any, nodes: Mapping[str, int], on_close: Callable[[], None]) -> None:
        self.nodes = dict(nodes)
        self.late = 0
        self.silent: dict[str, str] = {}
        self._grid, self._on_close = grid, on_close
        self._mail = _Mail(grid, client)
        self._open = True

    def wait_online(self, sites: Iterable[str], deadline_s: float) -> set[str]:
        """Wait until the SuperNodes of these hospitals are connected, or the time is up; those that are."""
        wanted, until = {self.nodes[site]: site for site in sites}, time.monotonic() + deadline_s
        while True:
            online: set[int] = set()
            with suppress(_Away), _link_errors():
                online = wanted.keys() & set(self._grid.get_node_ids())
            if len(online) == len(wanted) or time.monotonic() >= until:
                return {wanted[node] for node in online}
            time.sleep(_ONLINE_PAUSE_S)

    def exchange(self, requests: Mapping[str, bytes], deadline: Deadline) -> dict[str, bytes]:
        """Send each hospital its request; the answers that came in time.

        A hospital that is away is tried again until the exchange ends; one that answers with an error is not.
        Raises ConfigError for an unknown hospital; PrerequisiteError when the SuperLink ended the run or stays away.
        """
        if unknown := sorted(requests.keys() - self.nodes.keys()):
            raise ConfigError(f"no SuperNode is registered for {', '.join(unknown)}")
        started_s = time.monotonic()
        to_send = dict.fromkeys(requests, 0.0)  # site -> when, in seconds since the start
        asked: dict[str, str] = {}  # message -> site
        answers: dict[str, bytes] = {}
        answered_s: dict[str, float] = {}
        refused: set[str] = set()
        while True:
            now_s, away = time.monotonic() - started_s, None
            wait_s = wait_more(len(requests) - len(refused), answered_s, now_s, deadline)
            if not wait_s:
                return answers
            try:
                if due := [site for site, at_s in to_send.items() if at_s <= now_s]:
                    ids = self._mail.send({self.nodes[site]: requests[site] for site in due}, wait_s)
                    for site in due:
                        del to_send[site]
                        asked[ids[self.nodes[site]]] = site
                replies = self._mail.collect()
            except _Away as error:
                away, replies = error, []
            for message, payload, unavailable in replies:
                site = asked.pop(message, "")
                if not site:
                    self.late += payload is not None
                elif payload is not None:
                    answers[site], answered_s[site] = payload, time.monotonic() - started_s
                elif unavailable:
                    self.silent[site] = "its SuperNode is not connected"
                    to_send[site] = time.monotonic() - started_s + _AWAY_PAUSE_S
                else:
                    self.silent[site] = "it did not answer this request: its log says why"
                    refused.add(site)
            pause_s = _AWAY_PAUSE_S if away else _POLL_S
            if away and wait_s <= pause_s:
                raise PrerequisiteError(f"flower's SuperLink does not answer: {first_line(away)}") from away
            if not replies:
                time.sleep(min(pause_s, wait_s))

    def close(self) -> None:
        """End the run; a second call does nothing."""
        if self._open:
            self._open = False
            self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Away(Exception):  # noqa: N818  the SuperLink is, and may come back
    """No connection to the SuperLink at this moment."""


@dataclass(slots=True)
class _Arriving:
    """An answer whose pieces are fetched one by one; `to` is the message that it answers."""

    to: str
    missing: list[str]
    pieces: dict[str, bytes] = field(default_factory=dict)


class _Mail:
    """Messages to SuperNodes and their answers, without waiting for any: Flower's Grid blocks on an answer whose
    hospital is still sending it."""

    def __init__(self, grid: Any, client: Any) -> None:
        self._grid, self._client = grid, client
        self._expected: set[str] = set()  # messages that have no answer yet
        self._arriving: dict[str, _Arriving] = {}  # by its own id
        self._whole: list[tuple[str, bytes | None, bool]] = []  # kept when the connection breaks among them

    def send(self, payloads: Mapping[int, bytes], ttl_s: float) -> dict[int, str]:
        """Hand messages to the SuperLink, which forgets them after `ttl_s`; node -> message id."""
        from flwr.app import Message

        messages = [Message(to_record(data), node, MESSAGE_TYPE, ttl=ttl_s) for node, data in payloads.items()]
        with _link_errors():
            ids = dict(zip(payloads, self._grid.push_messages(messages), strict=True))
        self._expected.update(ids.values())
        return ids

    def collect(self) -> list[tuple[str, bytes | None, bool]]:
        """Answers that are here whole: message id, payload (None for an error), whether its hospital was away."""
        from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
        from flwr.proto.runtime_pb2 import PullAppMessagesRequest
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
        from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError

        with _link_errors():
            if self._expected:
                pulled = self._client.PullMessages(PullAppMessagesRequest(message_ids=sorted(self._expected)))
                for reply, tree in zip(pulled.messages_list, pulled.message_object_trees, strict=True):
                    to = reply.metadata.reply_to_message_id
                    self._expected.discard(to)
                    ids = [part.object_id for part in iterate_object_tree(tree)]
                    self._arriving[reply.metadata.message_id] = _Arriving(to, ids)
            for answer, arriving in list(self._arriving.items()):
                to = arriving.to
                try:
                    while arriving.missing:
                        arriving.pieces[arriving.missing[-1]] = self._pull(arriving.missing[-1])
                        arriving.missing.pop()
                except ObjectUnavailableError:
                    continue
                except ObjectPullError:  # its hospital never finished sending it
                    self._whole.append((to, None, False))
                else:
                    done = ConfirmMessageReceivedRequest(
                        node=self._grid.node, run_id=self._grid.run.run_id, message_object_id=answer
                    )
                    self._client.ConfirmMessageReceived(done)
                    self._whole.append((to, *_opened(answer, arriving.pieces)))
                del self._arriving[answer]
        whole, self._whole = self._whole, []
        return whole

    def _pull(self, piece: str) -> bytes:
        from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf

        pull = make_pull_object_fn_protobuf(self._client.PullObject, self._grid.node, self._grid.run.run_id)
        return bytes(pull(piece))


def _opened(answer: str, pieces: dict[str, bytes]) -> tuple[bytes | None, bool]:
    """An answer's payload, None for an error; and whether the error is that its hospital was away."""
    from flwr.common.constant import ErrorCode
    from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

    try:
        message: Any = inflate_object_from_contents(answer, pieces)
        if message.has_content():
            return from_record(message.content), False
        return None, message.error.code == ErrorCode.NODE_UNAVAILABLE
    except Exception:  # whatever a hospital makes up, in whatever way Flower stumbles over it, is no answer
        return None, False


@contextmanager
def _link_errors() -> Iterator[None]:
    """Raise _Away for what a later try may mend, PrerequisiteError for what it will not."""
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        raise _Away(first_line(error)) from error
    except httpx.HTTPStatusError as error:
        if error.response.status_code in (502, 503, 504):
            raise _Away(first_line(error)) from error
        raise PrerequisiteError(
            f"flower's SuperLink ended this run ({first_line(error)}): another coordinator took over, or this one was "
            "silent for a minute; start it again"
        ) from error


def register(link: Link, node_keys: Mapping[str, bytes]) -> dict[str, int]:
    """Make SuperNodes known to the SuperLink, which refuses all others; a hospital's name -> Flower's id of its node.

    node_keys: name -> public key in OpenSSH's format. One that is known keeps its id.
    Raises PrerequisiteError when the SuperLink is not there or refuses.
    """
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest
    from flwr.supercore.primitives.asymmetric import public_key_to_bytes

    keys = {site: public_key_to_bytes(load_ssh_public_key(key)) for site, key in node_keys.items()}
    with _talking_to(link), _control(link) as control:
        known = {bytes(node.public_key): node.node_id for node in control.ListNodes(ListNodesRequest()).nodes_info}
        return {
            site: known.get(key) or control.RegisterNode(RegisterNodeRequest(public_key=key)).node_id
            for site, key in keys.items()
        }


def open_flower(link: Link, node_keys: Mapping[str, bytes]) -> FlowerTransport:
    """Take the coordinator's place at a SuperLink; see `register` for the keys.

    Raises PrerequisiteError when the SuperLink is not there, refuses, or gives the run to somebody else.
    """
    logging.getLogger("flwr").setLevel(logging.WARNING)
    nodes = register(link, node_keys)
    with _talking_to(link):
        return _take_over(link, nodes, _start_run(link))


@contextmanager
def _talking_to(link: Link) -> Iterator[None]:
    """Raise PrerequisiteError for what goes wrong between us and the SuperLink."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, OSError) as error:
        raise PrerequisiteError(f"flower's SuperLink at {link.address}: {first_line(error)}") from error


def _control(link: Link) -> Any:
    """A client of the SuperLink's Control API."""
    from flwr.supercore.control import ControlHttpClient
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

    interceptors = [RuntimeVersionHttpInterceptor(component_name="flwr CLI")]
    return ControlHttpClient.from_server_address(link.address, False, link.ca.read_bytes(), interceptors)


def _start_run(link: Link) -> int:
    """Stop the runs of a coordinator before us and start our own; its id."""
    from flwr.common.constant import Status
    from flwr.common.serde import fab_to_proto
    from flwr.proto.control_pb2 import ListRunsRequest, StartRunRequest, StopRunRequest
    from flwr.supercore.constant import NOOP_FEDERATION_ID
    from flwr.supercore.fab import Fab

    with _control(link) as control:
        for run_id, run in control.ListRuns(ListRunsRequest()).run_dict.items():
            if run.status.status != Status.FINISHED:
                control.StopRun(StopRunRequest(run_id=run_id))
        app = _app_without_code()
        fab = fab_to_proto(Fab(hashlib.sha256(app).hexdigest(), app, {}))
        return int(control.StartRun(StartRunRequest(fab=fab, federation=NOOP_FEDERATION_ID)).run_id)


def _app_without_code() -> bytes:
    """Flower's bundle of an app: a zip of its files and a list of their digests; ours has only the description."""
    packed, listed = io.BytesIO(), f"pyproject.toml,{hashlib.sha256(_APP.encode()).hexdigest()},{8 * len(_APP)}"
    with zipfile.ZipFile(packed, "w") as bundle:
        for name, text in (("pyproject.toml", _APP), (".info/CONTENT", listed)):
            bundle.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


def _take_over(link: Link, nodes: Mapping[str, int], run_id: int) -> FlowerTransport:
    """Become the ServerApp of this run: its token, its heartbeat, its Grid."""
    from flwr.common.constant import SubStatus
    from flwr.common.serde import run_from_proto
    from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest, PushTaskOutputRequest
    from flwr.supercore.constant import TaskType
    from flwr.supercore.heartbeat import HeartbeatSender
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient
    from flwr.supercore.task_identity import TaskIdentity
    from flwr.superlink.grid import HttpGrid

    ca = link.ca.read_bytes()
    acquire = SuperExecAuthHttpInterceptor(
        master_secret=link.secret.read_bytes(), protected_methods={"/flwr.proto.Runtime/AcquireTask"}
    )
    version = RuntimeVersionHttpInterceptor(component_name="SuperExec")
    with RuntimeHttpClient.from_server_address(link.address, False, ca, [version, acquire]) as client:
        request, until = AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP]), time.monotonic() + _TASK_S
        while not (task := client.AcquireTask(request)).token or task.task.run_id != run_id:
            if time.monotonic() > until:
                raise PrerequisiteError("another process took this run's task over: start one coordinator at a time")
            time.sleep(_POLL_S)
    grid = HttpGrid(link.address, False, ca, token=task.token)
    grid._retry_invoker = None  # exchanges try again by themselves; Flower's way interrupts a process that is refused
    client = grid._runtime_client
    begun = client.PullTaskInput(PullTaskInputRequest())
    grid.set_run(run_from_proto(begun.run))
    # Messages are stamped with these, which Flower keeps once for a process: one open transport at a time.
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = begun.task_id, run_id, begun.context.node_id
    beat = HeartbeatSender(lambda: heartbeat(client))
    beat.start()

    def on_close() -> None:
        import httpx

        beat.stop()
        with suppress(httpx.HTTPError):  # a run that nobody ends, and one that somebody else ended, ends by itself
            client.PushTaskOutput(PushTaskOutputRequest(sub_status=SubStatus.COMPLETED, details=""))
        grid.close()

    return FlowerTransport(grid, client, nodes, on_close)
