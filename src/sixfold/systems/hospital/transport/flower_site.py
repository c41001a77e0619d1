"""A hospital's side of Flower: a ClientApp that passes bytes to the site, in a process that stays up between messages.

Flower would start a process for each message and run in it the code that came with the run. Here the process is the
hospital's own, started from what is installed there: what the coordinator sends is data, never code. The SuperNode
beside it (`--isolation process`) holds the connection and hands over one message at a time.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, UserError, first_line

__all__ = ["MESSAGE_TYPE", "client_app", "from_record", "heartbeat", "open_site", "serve", "to_record"]

MESSAGE_TYPE = "query"  # the one of Flower's kinds of message that promises nothing about models
_RECORD, _ITEM = "payload", "bytes"
_SHORT_BYTES = 1 << 20
_POLL_S = 0.05
_NO_ANSWER = 0  # Flower's code for an error it knows nothing about
Handle = Callable[[bytes], bytes]


def to_record(payload: bytes) -> Any:
    """Bytes as Flower's RecordDict, a short payload as one value and a long one as an Array.

    An Array is sent in pieces, each of which is sent again by itself. Each piece, and each thing that holds it, is a
    request of its own, which costs a SuperLink tens of milliseconds.
    """
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

    if len(payload) <= _SHORT_BYTES:
        return RecordDict({_RECORD: ConfigRecord({_ITEM: payload})})
    return RecordDict({_RECORD: ArrayRecord({_ITEM: Array("uint8", (len(payload),), "bytes", payload)})})


def from_record(record: Any) -> bytes:
    """The bytes that `to_record` put in. Raises ConfigError for anything else."""
    try:
        if _RECORD in record.config_records:
            data = record.config_records[_RECORD][_ITEM]
        else:
            data = record.array_records[_RECORD][_ITEM].data
    except KeyError as error:
        raise ConfigError(f"got a message of Flower's without {error}, expected one of this federation") from None
    if not isinstance(data, bytes):
        raise ConfigError(f"got a message of Flower's with {type(data).__name__}, expected bytes")
    return data


def client_app(handle: Handle) -> Any:
    """A Flower ClientApp that answers each message with what `handle` makes of its bytes."""
    from flwr.app import Context, Error, Message
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.query()  # type: ignore[untyped-decorator, unused-ignore]
    def answer(message: Message, context: Context) -> Message:
        try:
            return Message(to_record(handle(from_record(message.content))), reply_to=message)
        except UserError as error:
            _say(f"not answered: {error}")
        except Exception:  # a bug: the hospital stays up, and whoever runs it finds this in its log
            _say(traceback.format_exc())
        return Message(Error(code=_NO_ANSWER, reason="not answered"), reply_to=message)  # unsigned: the reason stays

    return app


def serve(handle: Handle, runtime: str, secret: bytes) -> None:
    """Answer the messages that the SuperNode at `runtime` (host:port on this machine) hands over, for ever.

    secret: shared with the SuperNode, so that no other process of the machine can take a message from it.
    """
    import httpx
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.constant import TaskType
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient

    app = client_app(handle)
    acquire = SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={"/flwr.proto.Runtime/AcquireTask"})
    version = RuntimeVersionHttpInterceptor(component_name="flwr-clientapp")
    request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
    with RuntimeHttpClient.from_server_address(runtime, True, None, [version, acquire]) as client:
        while True:
            try:
                task = client.AcquireTask(request)
                if task.token:
                    _answer_one(app, runtime, task.token)
                    continue
            except (httpx.HTTPError, RuntimeError) as error:  # the SuperNode is not up yet, or was restarted
                _say(f"supernode at {runtime}: {first_line(error)}")
                time.sleep(1.0)
            time.sleep(_POLL_S)


def _answer_one(app: Any, runtime: str, token: str) -> None:
    """Take one message over, answer it, and tell the SuperNode that it is done."""
    from flwr.common.constant import SubStatus
    from flwr.supercore.heartbeat import HeartbeatSender
    from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient
    from flwr.supernode.runtime.run_clientapp import push_message, push_task_output

    interceptors = [RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"), RuntimeTokenHttpInterceptor(token)]
    with RuntimeHttpClient.from_server_address(runtime, True, None, interceptors) as client:
        beat = HeartbeatSender(lambda: heartbeat(client))
        beat.start()
        status, details, context = SubStatus.FAILED, "not answered", None
        try:
            message, context = _take_over(client)
            push_message(client, app(message=message, context=context), context)
            status, details = SubStatus.COMPLETED, ""
        finally:
            beat.stop()
            push_task_output(client, context, status, details)


def _take_over(client: Any) -> tuple[Any, Any]:
    """The message of this task and its context; the app that came with the run is not looked at."""
    from flwr.app import Message
    from flwr.common.serde import context_from_proto
    from flwr.proto.node_pb2 import Node
    from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullTaskInputRequest
    from flwr.supercore.inflatable.inflatable_protobuf_utils import (
        make_confirm_message_received_fn_protobuf,
        make_pull_object_fn_protobuf,
    )
    from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree
    from flwr.supercore.task_identity import TaskIdentity

    begun = client.PullTaskInput(PullTaskInputRequest())
    context, node = context_from_proto(begun.context), Node(node_id=begun.context.node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = begun.task_id, begun.run.run_id, node.node_id
    tree = client.PullMessages(PullAppMessagesRequest()).message_object_trees[0]
    message = pull_and_inflate_object_from_tree(
        tree,
        make_pull_object_fn_protobuf(client.PullObject, node, begun.run.run_id),
        make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, begun.run.run_id),
        return_type=Message,
        initial_backoff=_POLL_S,  # the SuperNode creates the task before the message is here whole; Flower waits 1 s
    )
    message.metadata.__dict__["_message_id"] = tree.object_id  # not part of what is sent; a reply refers to it
    return message, context


def heartbeat(client: Any) -> bool:
    """Tell Flower's Runtime API that this task is alive; Flower's own function ends the process if that fails."""
    import httpx
    from flwr.proto.runtime_pb2 import SendTaskHeartbeatRequest

    with contextlib.suppress(httpx.HTTPError):
        return bool(client.SendTaskHeartbeat(SendTaskHeartbeatRequest()).success)
    return False


def open_site(opener: str, folder: Path) -> Handle:
    """Call the function that `opener` names ("package.module:function") with the site's folder.

    Raises ConfigError when there is no such function.
    """
    module, _, name = opener.partition(":")
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"got the opener {opener!r} ({first_line(error)}), expected package.module:function"
        ) from None
    handle: Handle = function(folder)
    return handle


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _main(opener: str, folder: str, runtime: str, secret: str) -> None:
    try:
        handle = open_site(opener, Path(folder))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    with contextlib.suppress(KeyboardInterrupt):
        serve(handle, runtime, Path(secret).read_bytes())


if __name__ == "__main__":
    _main(*sys.argv[1:])
