"""The fleet on Ray Serve: one application of gateways, shards, encoders and language models, each scaled by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sixfold.errors import ConfigError, SixfoldError
from sixfold.parts.language_model import Delta
from sixfold.parts.model_errors import ModelUnavailableError
from sixfold.systems.rag.index.manifest import Manifest, read_manifest
from sixfold.systems.rag.retrieve import Passage
from sixfold.systems.rag.serve.scatter import Calls
from sixfold.systems.rag.serve.service import Rerank
from sixfold.systems.rag.serve.settings import ServeSettings

__all__ = ["APPLICATION", "Fleet", "start_fleet"]

APPLICATION = "sixfold-rag"
_SHUTDOWN_S = 30.0
_SHARE = 0.01  # of a core, as Ray's scheduler sees it: processes of a fleet share the cores, they do not own them
_IN_FLIGHT = 1_000  # of one replica: admission is the gateway's business and happens before


class Fleet:
    """A running fleet. `close` ends it; the Ray that it runs on is the caller's."""

    def __init__(self, settings: ServeSettings, address: str) -> None:
        self.settings = settings
        self.address = address

    def handle(self, deployment: str) -> Any:
        """Ray Serve's handle of one deployment: to reach a replica past the gateway, as tests and chaos do."""
        from ray import serve

        return serve.get_deployment_handle(deployment, APPLICATION)

    def pids(self, deployment: str) -> list[int]:
        """The processes of a deployment on this machine, if this process started its Ray: for chaos."""
        import psutil

        title, found = f"ray::ServeReplica:{APPLICATION}:{deployment}", []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(title):
                    found.append(process.pid)
        return found

    def close(self) -> None:
        """End the fleet, and Ray Serve if nothing else runs on it."""
        import ray
        from ray import serve

        serve.delete(APPLICATION)
        if serve.status().applications:
            return
        # As serve.shutdown does, which leaves a message of Ray's on the terminal: the controller ends itself during
        # this call, and Ray would repeat it for ever if it were not told otherwise.
        controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
        with suppress(ray.exceptions.RayActorError):
            ray.get(controller.graceful_shutdown.options(max_task_retries=0).remote(), timeout=_SHUTDOWN_S)
        serve.shutdown()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_fleet(settings: ServeSettings) -> Fleet:
    """Start a fleet on the Ray that is running, and return when it answers.

    Raises ConfigError for an index without shards, a host other than loopback without a token, or a taken port.
    """
    token = os.environ.get(settings.token_variable) or None
    if not settings.loopback and not token:
        raise ConfigError(
            f"{settings.host} can be reached from elsewhere: set {settings.token_variable} to a token that callers send"
        )
    manifest = read_manifest(settings.index)
    _require_free(settings.host, settings.port)
    groups = settings.groups or max(1, len(manifest.shards))
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.host, "port": settings.port},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    serve.run(_application(settings, groups, token), name=APPLICATION, route_prefix="/")
    return Fleet(settings, f"http://{settings.host}:{settings.port}")


def _require_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); choose another port") from None


def _application(settings: ServeSettings, groups: int, token: str | None) -> Any:
    from ray import serve

    from sixfold.systems.rag.serve.replicas import EmbedReplica, ModelReplica, ShardReplica
    from sixfold.systems.rag.serve.writer_replica import WriterReplica

    def deployment(cls: Any, name: str, replicas: int = 1) -> Any:
        return serve.deployment(
            cls,
            name=name,
            num_replicas=replicas,
            max_ongoing_requests=_IN_FLIGHT,
            ray_actor_options={"num_cpus": _SHARE},
            health_check_period_s=1,
            health_check_timeout_s=10,
            graceful_shutdown_timeout_s=5,
        )

    index = str(settings.index.resolve())
    # Each replica of a group is a deployment of its own, so that the gateway knows whom it asks a second time.
    shards = [
        [
            deployment(ShardReplica, shard_name(group, copy)).bind(index, group, groups)
            for copy in range(settings.replicas.shard)
        ]
        for group in range(groups)
    ]
    others = [
        deployment(EmbedReplica, "embed", settings.replicas.embed).bind(settings.embeddings, settings.embed_batch)
    ]
    if settings.generate:
        model = deployment(ModelReplica, "model", settings.replicas.model)
        others.append(model.bind(settings.model, settings.model_threads, settings.model_slots))

    if settings.writes:
        crawls = tuple(str(crawl.resolve()) for crawl in settings.crawls)
        others.append(deployment(WriterReplica, "writer").bind(index, settings.ingest_share, crawls))

    def app() -> Any:  # Ray Serve calls plain functions only
        return _gateway(settings, groups, token)

    gateway = serve.ingress(app)()
    return deployment(gateway, "gateway", settings.replicas.gateway).bind(shards, others)


def shard_name(group: int, copy: int) -> str:
    """The deployment of one replica of a group of shards."""
    return f"shard-{group}-{copy}"


def _gateway(settings: ServeSettings, groups: int, token: str | None) -> Any:
    """The application of one gateway; runs in its replica."""
    from sixfold.parts.hedging import Hedging
    from sixfold.systems.rag.serve.app import create_app
    from sixfold.systems.rag.serve.generations import Generations
    from sixfold.systems.rag.serve.scatter import Copy, Group
    from sixfold.systems.rag.serve.search import FleetSearch
    from sixfold.systems.rag.serve.service import Service

    manifests: dict[int, Manifest] = {}
    copies = [
        [ServeCopy(shard_name(group, copy), manifests) for copy in range(settings.replicas.shard)]
        for group in range(groups)
    ]
    members: list[Group[Copy]] = [Group(of, Hedging(settings.hedge_quantile)) for of in copies]
    encoder = _handle("embed")

    async def prepare(manifest: Manifest) -> Mapping[int, tuple[int, int]]:
        for old in sorted(manifests)[:-3]:
            del manifests[old]
        manifests[manifest.generation] = manifest
        opened = await asyncio.gather(
            *(asyncio.wait_for(copy.prepare(manifest), 5) for of in copies for copy in of), return_exceptions=True
        )
        sizes: dict[int, tuple[int, int]] = {}
        for one in opened:
            if not isinstance(one, BaseException):
                sizes.update(one)
        return sizes

    service = Service(
        settings,
        FleetSearch(
            members,
            lambda text: _result(encoder.embed_query.remote(text)),
            depth=settings.fused_depth,
            probes=settings.probes,
        ),
        Generations(settings.index, prepare),
        lambda texts: _result(encoder.embed.remote(texts)),
        rerank=_reranker(settings, encoder),
        model=ServeModel() if settings.generate else None,
        writer=ServeWriter() if settings.writes else None,
    )
    return create_app(service, token=token)


def _reranker(settings: ServeSettings, encoder: Any) -> Rerank | None:
    from sixfold.parts.endpoints import EndpointReranker
    from sixfold.parts.rerank import blend

    if settings.rerank:

        async def by_tokens(question: str, passages: Sequence[Passage]) -> Sequence[float]:
            scores = await _result(encoder.rerank.remote(question, [passage.text for passage in passages]))
            return blend([passage.score for passage in passages], scores)

        return by_tokens
    if settings.reranker is None:
        return None
    of = settings.reranker
    endpoint = EndpointReranker(of.url, of.key(), of.model)

    async def by_endpoint(question: str, passages: Sequence[Passage]) -> Sequence[float]:
        return await endpoint.scores(question, [passage.text for passage in passages])

    return by_endpoint


class ServeCopy:
    """One replica of a group of shards behind its handle; `scatter.Copy`."""

    def __init__(self, name: str, manifests: dict[int, Manifest]) -> None:
        self.name = name
        self._manifests = manifests
        self._handle = _handle(name)

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        results = await _result(self._handle.call.remote(generation, calls))
        if results is None:  # it has been started again since that generation was announced
            if generation not in self._manifests:
                raise LookupError(f"generation {generation} is gone")
            await self.prepare(self._manifests[generation])
            results = await _result(self._handle.call.remote(generation, calls))
        answered: dict[int, list[Any]] = results
        return answered

    async def prepare(self, manifest: Manifest) -> dict[int, tuple[int, int]]:
        """Open a generation; shard -> (passages, documents)."""
        sizes: dict[int, tuple[int, int]] = await _result(self._handle.prepare.remote(manifest))
        return sizes


class ServeModel:
    """The language model behind its handle; `model_slots.StreamsDeltas`."""

    def __init__(self) -> None:
        self._handle = _handle("model").options(stream=True)

    async def stream(
        self, messages: Sequence[Any], *, max_tokens: int, deadline_s: float, temperature: float, seed: int | None
    ) -> AsyncGenerator[Delta, None]:
        """Pieces of an answer; closing the generator ends the work of the replica.

        Raises the model's own errors, and ModelUnavailableError where Ray's would tell of processes and addresses.
        """
        from ray.exceptions import RayError

        deltas = self._handle.stream.remote(list(messages), max_tokens, deadline_s, temperature, seed)
        try:
            async for delta in deltas:
                yield delta
        except RayError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, SixfoldError) else ModelUnavailableError("its process failed")) from None
        finally:
            deltas.cancel()


class ServeWriter:
    """The writer behind its handle; `service.WritesDocuments`."""

    def __init__(self) -> None:
        self._handle = _handle("writer")

    async def upsert(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        receipt: dict[str, Any] = await _written(self._handle.upsert.remote(documents))
        return receipt

    async def takedown(self, rule: dict[str, str | None], reason: str) -> dict[str, Any]:
        receipt: dict[str, Any] = await _written(self._handle.takedown.remote(rule, reason))
        return receipt


async def _written(response: Any) -> Any:
    """A receipt. What has been begun is finished, whoever stops waiting for it."""
    from ray.exceptions import RayTaskError

    try:
        return await asyncio.shield(asyncio.ensure_future(_awaited(response)))
    except RayTaskError as error:
        if isinstance(error.cause, SixfoldError):  # for the caller to mend, without the replica's traceback
            raise error.cause from None
        raise


async def _awaited(response: Any) -> Any:
    return await response


def _handle(deployment: str) -> Any:
    from ray import serve

    return serve.get_deployment_handle(deployment, APPLICATION)


async def _result(response: Any) -> Any:
    """What a replica answers; whoever stops waiting for it stops the work, too."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
