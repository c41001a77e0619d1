"""What a published training row says: model, plan, device, framework and the measured time of a step.

Tables differ in what they print. Rows with iteration time, tokens/s, FLOP/s or utilisation all become seconds a step;
a row that names no batch gets one sequence a data rank, which cancels where its speed is compared. What a row leaves
open (micro-batch, recomputation) stays open: `training_predict` then takes what an engineer would.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sixfold.design.catalog.architectures import named_architecture
from sixfold.design.catalog.devices import Device, find_device
from sixfold.design.catalog.efficiencies import cluster_port_bytes_per_s, framework, precision_key
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE
from sixfold.design.laws.transformer import (
    Transformer,
    hardware_flops,
    model_flops,
    shape_of_size,
    transformer,
)
from sixfold.design.validation.rows import Row

__all__ = ["TrainingRow", "training_row", "training_rows"]

_SHARED = ("vocab", "interconnect")  # what describes a system rather than a run


@dataclass(frozen=True)
class TrainingRow:
    """One published training configuration, in the units of the laws. None where it was not published."""

    row: Row
    model: Transformer
    device: Device
    software: str
    precision: str
    nodes: bool  # more devices than one node holds
    gpus: int
    tensor: int
    pipeline: int
    data: int
    context: int
    expert: int
    chunks: int | None
    zero: int | None
    micro_batch: float | None
    global_batch: float
    batch_published: bool
    recompute: float | None
    sequence: bool
    dated: float  # year of publication
    port_bytes_per_s: float | None
    measured_s: float
    memory_bytes: float | None

    @property
    def tokens(self) -> float:
        """Tokens a step."""
        return self.global_batch * float(self.model.seq_len)

    @property
    def flops(self) -> float:
        """Model FLOPs of a step."""
        return float(model_flops(self.model, self.tokens))

    @property
    def peak_flops(self) -> float:
        """The device's peak at the row's precision, as utilisation is counted."""
        return self.device.flops[precision_key(self.precision, self.device)]

    @property
    def shape_published(self) -> bool:
        """Whether layers and width are of the row or of a named architecture, not guessed from a size."""
        given = self.row.number("layers") is not None and self.row.number("hidden") is not None
        return given or named_architecture(self.row.text("model")) is not None

    @property
    def sparse(self) -> bool:
        """Whether it is a mixture of experts."""
        return bool(self.model.experts > 0)


def training_rows(rows: Sequence[Row]) -> tuple[list[TrainingRow], Counter[str]]:
    """Return the rows in the units of the laws, and how many could not be, by reason.

    Vocabulary and network that a source prints for some of its rows, and always alike, hold for the others. Raises
    InputError for a field that is no number.
    """
    printed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        for name in _SHARED:
            if row.text(name):
                printed[(row.text("source"), name)].add(row.text(name))
    found, left_out = [], Counter[str]()
    for row in rows:
        known = {name: printed[(row.text("source"), name)] for name in _SHARED if not row.text(name)}
        filled = {name: next(iter(values)) for name, values in known.items() if len(values) == 1}
        made = training_row(replace(row, fields={**row.fields, **filled}) if filled else row)
        if isinstance(made, str):
            left_out[made] += 1
        else:
            found.append(made)
    return found, left_out


def training_row(row: Row) -> TrainingRow | str:
    """Return a row in the units of the laws, or why it cannot be one ("no model size", "unknown hardware").

    Raises InputError for a field that is no number.
    """
    device = find_device(row.text("hardware"))
    if device is None:
        return "unknown hardware"
    if "lora" in row.text("notes").lower() or "lora" in row.text("model").lower():
        return "adapters only"
    if not {"bf16", "fp16"} & set(device.flops):
        return "no 16-bit peak"
    model = _model(row)
    if isinstance(model, str):
        return model
    gpus = _degree(row, "gpus") or 0
    tensor, pipeline, context = (_degree(row, name) or 1 for name in ("tp", "pp", "cp"))
    if gpus < 1 or gpus % (tensor * pipeline * context):
        return "degrees do not divide the devices" if gpus else "no number of devices"
    data = gpus // (tensor * pipeline * context)
    zero, dated = _zero(row.text("zero_or_fsdp")), _dated(row.text("source"))
    software = row.text("software").lower() or ("megatron-lm" if dated < 2023 else "")
    if zero is None and not any(row.text(name) for name in ("tp", "pp", "dp")) and framework(software).zero < 3:
        return "no degrees"
    recompute, sequence = _recompute(row.text("recompute"))
    # Without a published batch: one that fills the pipeline.
    batch = _leading(row, "global_batch") or (_leading(row, "micro_batch") or 1.0) * data * (
        8 * pipeline if pipeline > 1 else 1
    )
    precision = row.text("precision").lower()
    if not precision and "fp8" in device.flops:
        return "no precision, of two or more"
    measured = _seconds(row, model, device, precision, batch, gpus, recompute)
    if measured is None:
        return "no speed that can be compared"
    gib = row.number("mem_gib_per_gpu")
    return TrainingRow(
        row=row,
        model=model,
        device=device,
        software=software,
        precision=precision,
        nodes=gpus > min(device.scale_up_size, 8) if device.kind == "gpu" else gpus > 8,
        gpus=gpus,
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        context=context,
        expert=_degree(row, "ep") or 1,
        chunks=_degree(row, "vp"),
        zero=zero,
        micro_batch=_leading(row, "micro_batch"),
        global_batch=batch,
        batch_published=bool(_leading(row, "global_batch")),
        recompute=recompute,
        sequence=sequence,
        dated=dated,
        port_bytes_per_s=_port_bytes_per_s(row),
        measured_s=measured,
        memory_bytes=None if gib is None else gib * 2.0**30,
    )


def _model(row: Row) -> Transformer | str:
    seq_len = row.number("seq_len") or 2048.0
    layers, hidden, heads = (row.number(name) for name in ("layers", "hidden", "heads"))
    known = named_architecture(row.text("model"))
    if known is not None:
        return known.transformer(seq_len)
    active, size = row.number("active_params_B"), row.number("params_B")
    if active is not None and size is not None and active < size:
        return "experts of unknown shape"
    vocab = row.number("vocab") or 51200.0
    if layers is None or hidden is None:
        if size is None:
            return "no model size"
        return _of_size(size * 1e9, layers, hidden, heads, vocab, seq_len)
    return transformer(
        layers,
        hidden,
        heads or max(1.0, round(hidden / 128.0)),
        vocab=vocab,
        seq_len=seq_len,
        kv_heads=row.number("kv_heads"),
        ffn=row.number("ffn"),
    )


def _of_size(
    size: float, layers: float | None, hidden: float | None, heads: float | None, vocab: float, seq_len: float
) -> Transformer:
    """A GPT of a published size whose width or depth was not published."""
    if layers is None and hidden is None:
        depth, width, _ = (float(value) for value in shape_of_size(size))
    elif hidden is None:
        depth = float(layers or 1.0)
        width = 128.0 * max(1.0, round(math.sqrt(size / (12.0 * depth)) / 128.0))
    else:
        width = hidden
        depth = max(1.0, round(size / (12.0 * width**2)))
    return transformer(depth, width, heads or max(1.0, round(width / 128.0)), vocab=vocab, seq_len=seq_len)


def _seconds(
    row: Row, model: Transformer, device: Device, precision: str, batch: float, gpus: int, recompute: float | None
) -> float | None:
    """Seconds a step from whatever speed the row has, the most direct first."""
    tokens = batch * float(model.seq_len)
    for name, unit in (("iter_time_s", 1.0), ("iter_time_ms", 1e-3)):
        given = row.number(name)
        if given:
            return given * unit
    rate = row.number("tokens_per_s_per_gpu")
    if rate:
        return tokens / (rate * gpus)
    flops = row.number("tflops_per_gpu")
    executed = "hardware" in row.text("tflops_kind").lower()
    done = _executed(model, tokens, recompute) if executed else float(model_flops(model, tokens))
    if flops:
        return done / (flops * 1e12 * gpus)
    peak = device.flops.get("bf16") or device.flops.get("fp16")
    if peak is None:
        return None
    mfu, hfu = row.number("mfu"), row.number("hfu")
    if mfu:
        return float(model_flops(model, tokens)) / (mfu * peak * gpus)
    if hfu:
        return _executed(model, tokens, recompute) / (hfu * peak * gpus)
    return None


def _executed(model: Transformer, tokens: float, recompute: float | None) -> float:
    kind = FULL if recompute is None else recompute
    return float(hardware_flops(model, tokens, float(kind == FULL), float(kind == SELECTIVE)))


def _dated(source: str) -> float:
    """The year in which a source appeared, by its arXiv number or the year it names; the present where it has neither.

    What ran before 2023 had neither fused attention nor split sequences unless it says so.
    """
    number = re.search(r"\b(\d\d)(?:0[1-9]|1[0-2])\.\d{4,5}\b", source)
    year = re.search(r"\b20\d\d\b", source)
    return 2000.0 + int(number.group(1)) if number else float(year.group(0)) if year else 2030.0


def _leading(row: Row, name: str) -> float | None:
    """The first number of a field: a few tables print two ("4 (8)")."""
    found = re.search(r"\d+(?:\.\d+)?", row.text(name))
    return float(found.group(0)) if found else None


def _degree(row: Row, name: str) -> int | None:
    """The first whole number above 0 of a field."""
    given = _leading(row, name)
    return int(given) if given and given >= 1.0 else None


def _recompute(text: str) -> tuple[float | None, bool]:
    plain = text.lower()
    kind = FULL if "full" in plain else SELECTIVE if "selective" in plain else NONE if plain else None
    return kind, "sequence" in plain


def _zero(text: str) -> int | None:
    plain = text.lower()
    if not plain:
        return None
    stage = re.search(r"zero[ -]?(\d)", plain)
    if stage:
        return min(int(stage.group(1)), 3)
    if "grad_op" in plain:
        return 2
    if "fsdp" in plain or "full_shard" in plain:
        return 3
    digit = re.fullmatch(r"[0-3]", plain)
    return int(digit.group(0)) if digit else 0


def _port_bytes_per_s(row: Row) -> float | None:
    """A device's share of its node's network, from "8x200Gb/s HDR IB per node", "400Gb/s per GPU" and the like."""
    text = f"{row.text('interconnect')}; {row.text('locator')}"
    found = re.search(r"(?:(\d+)\s*x\D{0,20}?)?(\d+(?:\.\d+)?)\s*([GT])b(?:it)?(?:/s|ps)", text)
    if not found:
        return cluster_port_bytes_per_s(row.text("source"))
    bits = float(found.group(2)) * (1e9 if found.group(3) == "G" else 1e12) * float(found.group(1) or 1)
    per_device = re.search(r"per (?:gpu|device|accelerator)", text, re.IGNORECASE)
    return bits / 8.0 / (1.0 if per_device else 8.0)
