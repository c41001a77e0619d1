"""A secure sum of 20 sites and 1,000,000 float32 parameters, beside Flower's SecAgg+, and what a site pays among more.

    python benchmarks/secure_sum.py [--quick] [--json]

Both run all of their sites and the server in this process, one thread, CPU time: ours through its messages, Flower's
`SecAggPlusWorkflow` and `secaggplus_mod` through a grid that carries its serialised records, whose serialisation is not
counted. Both start from float vectors and end with their sum, on the complete graph, with the same threshold. The model
that goes down is left out on both sides. Then 10 to 400 sites of which 30 % are lost after their shares were dealt, the
costliest moment for the server, on the graph that is chosen for 5 % colluding sites; and how sparse such graphs are.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402

from common import Row, machine, show  # noqa: E402
from sixfold.parts.fixed_point import FixedPoint  # noqa: E402
from sixfold.parts.neighbour_graph import choose_topology  # noqa: E402
from sixfold.parts.secure_sum import Party, SecureSumPlan  # noqa: E402
from sixfold.parts.secure_sum_server import SecureSumServer  # noqa: E402

SITES, LENGTH, THRESHOLD = 20, 1_000_000, 11
LOST, COLLUDING = 0.3, 0.05
MOST_BYTES = 1.6  # times those of the float32 vector


@dataclass
class Cost:
    """CPU seconds and bytes of one round. site_s: of those that stayed to the end, one each."""

    all_s: float = 0.0
    server_s: float = 0.0
    site_s: list[float] = field(default_factory=list)
    up_bytes: int = 0
    down_bytes: int = 0
    error: float = 0.0  # largest difference from the sum of the vectors


def ours(vectors: list[np.ndarray], lost: int, dropped: int, colluding: int, session: int) -> tuple[Cost, int]:
    """One round; `lost` sites fall silent when they have dealt their shares. Also the degree of the graph."""
    n, length = len(vectors), len(vectors[0])
    names = [f"site{at:03d}" for at in range(n)]
    keys = {name: Ed25519PrivateKey.generate() for name in names}
    roster = {name: key.public_key() for name, key in keys.items()}
    plan = SecureSumPlan.of(
        hashlib.sha256(b"benchmark" + bytes([session])).digest(),
        names, dropped=dropped, colluding=colluding, ring_bits=32, length=length,
    )  # fmt: skip
    coder = FixedPoint(32, 20, n)
    cost, spent = Cost(), dict.fromkeys(names, 0.0)

    def of_site(name: str, run: Callable[..., Any], *arguments: Any) -> Any:
        began_s = time.process_time()
        answer = run(*arguments)
        spent[name] += time.process_time() - began_s
        cost.up_bytes += len(answer) if isinstance(answer, bytes) else 0
        return answer

    def of_server(run: Callable[..., Any], *arguments: Any) -> Any:
        began_s = time.process_time()
        answer = run(*arguments)
        cost.server_s += time.process_time() - began_s
        if isinstance(answer, dict):
            cost.down_bytes += sum(map(len, answer.values()))
        return answer

    server = of_server(SecureSumServer, plan, roster)
    parties = {name: of_site(name, Party, name, plan, keys[name], roster) for name in names}
    sent = of_server(server.adverts, {name: of_site(name, parties[name].advertise) for name in names})
    sent = of_server(server.shares, {name: of_site(name, parties[name].share, sent[name]) for name in names})
    rng = np.random.default_rng(0)
    silent = set(rng.choice(names, lost, replace=False).tolist())
    masked = {}
    for name, vector in zip(names, vectors, strict=True):
        if name not in silent:
            values = of_site(name, coder.encode, vector)
            masked[name] = of_site(name, parties[name].mask, values, sent[name])
    survivors = of_server(server.masked, masked)
    cost.down_bytes += len(survivors) * sum(map(len, survivors))
    signatures = {name: of_site(name, parties[name].confirm, survivors) for name in survivors}
    sent = of_server(server.confirmations, signatures)
    of_server(server.unmasked, {name: of_site(name, parties[name].unmask, sent[name]) for name in sent})
    total = of_server(coder.decode, of_server(server.total))
    expected = np.sum([v for name, v in zip(names, vectors, strict=True) if name not in silent], axis=0)
    cost.error = float(np.abs(total - expected).max())
    cost.site_s = [spent[name] for name in survivors]
    cost.all_s = sum(spent.values()) + cost.server_s
    return cost, plan.topology.degree


def flower(vectors: list[np.ndarray]) -> Cost:
    """One round of Flower's SecAgg+ with its defaults, all sites as neighbours."""
    from flwr.app import ConfigRecord, Context, Message, RecordDict
    from flwr.client.mod import secaggplus_mod
    from flwr.common import (
        Code,
        FitIns,
        FitRes,
        Parameters,
        Status,
        ndarrays_to_parameters,
        parameters_to_ndarrays,
        serde,
    )
    from flwr.compat.common import recorddict_compat as compat
    from flwr.server.compat.grid_client_proxy import GridClientProxy
    from flwr.server.compat.legacy_context import LegacyContext
    from flwr.server.workflow import SecAggPlusWorkflow
    from flwr.supercore.task_identity import TaskIdentity

    logging.disable(logging.CRITICAL)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    nodes, cost, results = range(101, 101 + len(vectors)), Cost(), []
    contexts = {node: Context(1, node, {}, RecordDict(), {}) for node in nodes}
    spent = dict.fromkeys(nodes, 0.0)
    parameters = {node: ndarrays_to_parameters([v]) for node, v in zip(nodes, vectors, strict=True)}

    def fit(message: Message, context: Context) -> Message:
        result = FitRes(Status(Code.OK, ""), parameters[context.node_id], 1_000, {})
        return Message(compat.fitres_to_recorddict(result, keep_input=True), reply_to=message)

    class Grid:
        """Carries records as bytes, as any real one does."""

        outside_s = 0.0  # all but the server

        def send_and_receive(self, messages: list[Message], timeout: float | None = None) -> list[Message]:
            began_s, replies = time.process_time(), []
            for message in messages:
                data = serde.recorddict_to_proto(message.content).SerializeToString()
                cost.down_bytes += len(data)
                proto = type(serde.recorddict_to_proto(RecordDict())).FromString(data)
                content, node = serde.recorddict_from_proto(proto), message.metadata.dst_node_id
                sent = Message(content, node, message.metadata.message_type, group_id=message.metadata.group_id)
                site_s = time.process_time()
                reply = secaggplus_mod(sent, contexts[node], fit)
                spent[node] += time.process_time() - site_s
                cost.up_bytes += len(serde.recorddict_to_proto(reply.content).SerializeToString())
                replies.append(reply)
            self.outside_s += time.process_time() - began_s
            return replies

    class Strategy:
        """All sites, nothing to send down, and the average is kept."""

        def configure_fit(self, *_: Any) -> list[Any]:
            return [(GridClientProxy(node, grid, 1), FitIns(Parameters([], ""), {})) for node in nodes]

        def aggregate_fit(self, _round: int, found: list[Any], _failures: Any) -> tuple[None, dict[str, Any]]:
            results.append(parameters_to_ndarrays(found[0][1].parameters)[0])
            return None, {}

    grid = Grid()
    context = LegacyContext(Context(1, 1, {}, RecordDict(), {}), strategy=Strategy())
    context.state.config_records["config"] = ConfigRecord({"current_round": 1})
    context.state.array_records["parameters"] = compat.parameters_to_arrayrecord(Parameters([], ""), keep_input=True)
    began_s = time.process_time()
    SecAggPlusWorkflow(num_shares=1.0, reconstruction_threshold=THRESHOLD / len(vectors))(grid, context)
    cost.server_s = time.process_time() - began_s - grid.outside_s
    cost.site_s = list(spent.values())
    cost.all_s = sum(cost.site_s) + cost.server_s
    cost.error = float(np.abs(len(vectors) * results[0] - np.sum(vectors, axis=0)).max())
    return cost


def beside_flower(quick: bool) -> list[Row]:
    """The same vectors through both, alternating."""
    rng = np.random.default_rng(1)
    vectors = [rng.normal(size=LENGTH).astype(np.float32).astype(np.float64) for _ in range(SITES)]
    mine, theirs = [], []
    for repeat in range(1 if quick else 3):
        mine += [ours(vectors, 0, (SITES - 1) // 2, 0, 3 * repeat + k)[0] for k in range(3)]
        theirs.append(flower(vectors))
    plain = SITES * LENGTH * 4
    about = f"{SITES} sites x {LENGTH:,} parameters, medians of {len(mine)} and {len(theirs)}, CPU; peer: SecAgg+"
    a, b = (median(cost.all_s for cost in costs) for costs in (mine, theirs))
    rows = [Row("one round, all sites and the server", a, "s", b, a / b, 1.0, a < b, about)]
    a, b = (median(s for cost in costs for s in cost.site_s) for costs in (mine, theirs))
    rows.append(Row("of which one site", a, "s", b, a / b))
    a, b = (median(cost.server_s for cost in costs) for costs in (mine, theirs))
    rows.append(Row("of which the server", a, "s", b, a / b))
    a, b = ((costs[0].up_bytes + costs[0].down_bytes) / plain for costs in (mine, theirs))
    rows.append(Row("bytes both ways over those of the float32 vectors", a, "", b, a / b, MOST_BYTES, a <= MOST_BYTES))
    rows.append(
        Row("largest error of the sum", mine[0].error, "", theirs[0].error, mine[0].error / theirs[0].error,
            note="ours: 20 fractional bits of 32; peer: 22 bits over [-8, 8], rounded at random, of the mean, times n")
    )  # fmt: skip
    return rows


def among_more(quick: bool) -> list[Row]:
    """What a site pays when there are more of them."""
    length, sizes = (20_000, (10, 20, 50, 100)) if quick else (100_000, (10, 20, 50, 100, 200, 400))
    rng, rows, first = np.random.default_rng(2), [], None
    for n in sizes:
        vectors = [rng.uniform(-4.0, 4.0, length) for _ in range(n)]  # 32 bits hold the sum of 400 sites up to 5.1
        cost, degree = ours(vectors, int(LOST * n), int(LOST * n), int(COLLUDING * n), n % 251)
        value = 1_000 * median(cost.site_s)
        first = first or (n, value)
        ratio, moved_kb = value / first[1], (cost.up_bytes + cost.down_bytes) / n / 1e3
        rows.append(
            Row(f"a site among {n}, {LOST:.0%} lost", value, "ms", first[1], ratio,
                note=f"{length:,} parameters, {degree} neighbours, {moved_kb:,.0f} kB a site, "
                f"server {cost.server_s:.2f} s, error {cost.error:.1g}; peer: among {first[0]}; "
                f"log n grew {log2(n) / log2(first[0]):.2f} times, n {n / first[0]:g} times")
        )  # fmt: skip
    return rows


def neighbours() -> list[Row]:
    """How many neighbours the chosen graph gives a site: what its own cost is proportional to."""
    rows = []
    for colluding in (0.0, COLLUDING):
        for n in (100, 400, 1_000):
            degree = choose_topology(n, int(LOST * n), int(colluding * n)).degree
            note = f"{degree / log2(n):.2f} log2 n; all others would be {n - 1}"
            rows.append(Row(f"neighbours among {n}, {colluding:.0%} colluding", float(degree), "", note=note))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one run of the peer, up to 100 sites")
    options = parser.parse_args()
    rows = beside_flower(options.quick) + among_more(options.quick) + neighbours()
    show("secure_sum", machine("numpy", "cryptography", "flwr"), rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
