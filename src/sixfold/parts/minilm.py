"""The network of all-MiniLM-L6-v2, packed: the texts of a batch lie behind one another without padding.

Wang et al., "MiniLM", NeurIPS 2020; BERT's post-norm encoder (Devlin et al., 2019), six layers of it. Only
what inference needs, in the order that is fastest on a CPU; docs/decisions/0003 has the measurements.

Shape legend: M rows of a tile (tokens, those beyond the last text unused), L tokens of one text, H hidden
size 384, A heads 12, D head size 32, T texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

__all__ = ["DIMENSION", "MAX_TOKENS", "MiniLm"]

DIMENSION = 384
MAX_TOKENS = 256  # what the model was trained and published with (sentence_bert_config.json)
_LAYERS, _HEADS = 6, 12
_EPSILON = 1e-12

_Pair = tuple[torch.Tensor, torch.Tensor]  # weight and bias


class MiniLm:
    """Six encoder layers and the mean over the tokens, in one floating-point type."""

    def __init__(self, weights: Mapping[str, torch.Tensor], dtype: torch.dtype) -> None:
        def pair(name: str) -> _Pair:
            return weights[f"{name}.weight"].to(dtype), weights[f"{name}.bias"].to(dtype)

        def stacked(names: Sequence[str]) -> _Pair:
            both = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
            return torch.cat([w for w, _ in both]).to(dtype), torch.cat([b for _, b in both]).to(dtype)

        self.dtype = dtype
        self._word = weights["embeddings.word_embeddings.weight"].to(dtype)
        # A passage has one segment, so the type embedding is a constant that the positions can carry.
        segment = weights["embeddings.token_type_embeddings.weight"][0]
        self._position = (weights["embeddings.position_embeddings.weight"][:MAX_TOKENS] + segment).to(dtype)
        self._norm = pair("embeddings.LayerNorm")
        self._layers = [
            (
                stacked([f"{layer}.attention.self.{name}" for name in ("query", "key", "value")]),
                pair(f"{layer}.attention.output.dense"),
                pair(f"{layer}.attention.output.LayerNorm"),
                pair(f"{layer}.intermediate.dense"),
                pair(f"{layer}.output.dense"),
                pair(f"{layer}.output.LayerNorm"),
            )
            for layer in (f"encoder.layer.{i}" for i in range(_LAYERS))
        ]

    def encode(self, texts_tl: Sequence[Sequence[int]], rows: int) -> torch.Tensor:
        """Token ids of texts -> unit vectors [T, H] float32, computed as one tile of `rows` rows.

        A row of a matrix product depends on that row and on the shape of the product only, and attention
        sees one text at a time: with `rows` fixed, a text's vector does not depend on its neighbours.
        """
        with torch.inference_mode():
            x_mh, spans = self._last_layer(texts_tl, rows)
            means_th = torch.stack([x_mh[span].float().mean(0) for span in spans])
            # The norm one text at a time, too: a reduction over a matrix may be cut differently for another T.
            return torch.stack([mean_h / mean_h.norm().clamp_min(1e-12) for mean_h in means_th])

    def encode_tokens(self, texts_tl: Sequence[Sequence[int]], rows: int) -> list[torch.Tensor]:
        """Token ids of texts -> for each text a unit vector a token, [L, H] float32; otherwise as `encode`."""
        with torch.inference_mode():
            x_mh, spans = self._last_layer(texts_tl, rows)
            return [F.normalize(x_mh[span].float(), dim=1) for span in spans]

    def _last_layer(self, texts_tl: Sequence[Sequence[int]], rows: int) -> tuple[torch.Tensor, list[slice]]:
        """What the last layer makes of a tile, [M, H], and where each text lies in it."""
        used = sum(map(len, texts_tl))
        ids_m = torch.zeros(rows, dtype=torch.long)
        places_m = torch.zeros(rows, dtype=torch.long)
        ids_m[:used] = torch.tensor([token for text in texts_tl for token in text], dtype=torch.long)
        places_m[:used] = torch.cat([torch.arange(len(text)) for text in texts_tl])
        ends = accumulate(map(len, texts_tl), initial=0)
        spans = [slice(start, end) for start, end in pairwise(ends)]

        x_mh = self._layer_norm(self._word[ids_m] + self._position[places_m], self._norm)
        mixed_mh = torch.zeros_like(x_mh)
        for qkv, attention_out, attention_norm, up, down, norm in self._layers:
            qkv_m3ad = F.linear(x_mh, *qkv).view(rows, 3, _HEADS, DIMENSION // _HEADS)
            for span in spans:
                q_1ald, k_1ald, v_1ald = qkv_m3ad[span].permute(1, 2, 0, 3).unsqueeze(1)
                attended_1ald = F.scaled_dot_product_attention(q_1ald, k_1ald, v_1ald)
                mixed_mh[span] = attended_1ald[0].transpose(0, 1).reshape(-1, DIMENSION)
            x_mh = self._layer_norm(F.linear(mixed_mh, *attention_out).add_(x_mh), attention_norm)
            x_mh = self._layer_norm(F.linear(F.gelu(F.linear(x_mh, *up)), *down).add_(x_mh), norm)
        return x_mh, spans

    @staticmethod
    def _layer_norm(x_mh: torch.Tensor, pair: _Pair) -> torch.Tensor:
        return F.layer_norm(x_mh, (DIMENSION,), *pair, _EPSILON)
