"""Flower's own loop as a Flower app: FedAvg over nodes that send back what they got. Bundled by hospital_rounds.py."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client, server = ClientApp(), ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    """No training: the arrays as they came."""
    content = RecordDict({"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Write down when the first round began and when each one ended."""
    settings, ends_s = context.run_config, []
    nodes = int(settings["nodes"])
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes)
    strategy.start(
        grid,
        ArrayRecord([np.zeros(int(settings["length"]))]),
        num_rounds=int(settings["rounds"]),
        evaluate_fn=lambda round_, arrays: ends_s.append(time.time()),
    )
    out = Path(str(settings["out"]))
    out.with_suffix(".part").write_text(json.dumps(ends_s))
    out.with_suffix(".part").rename(out)
