"""Published searches for nearest neighbours as what laws can say something of: effort, recall, codes, machine."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sixfold.design.laws.index_size import usual_lists
from sixfold.design.validation.rows import Row

__all__ = ["ALL", "FIRST", "MET", "SearchRow", "dimension_of", "search_rows"]

ALL, FIRST, MET = "k of k", "first of 1", "first of 100"  # what a recall counts; MET: codes hardly matter
_LIST_NAMES = ("ls", "l_pq", "search_list", "ef_search", "efsearch", "ef", "l_search", "search_l")
_COARSE_NAMES = ("quantizer_efsearch", "efsearch")
_NUMBER = re.compile(r"([A-Za-z][A-Za-z_]*?)['\"]?\s*[:=]?\s*L?([0-9]+(?:\.[0-9]+)?)(?![0-9]*[A-Za-z])")
_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMB])\b", re.IGNORECASE)
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9}
# (start of the name, dimension, bytes of a number), of the papers and pages of each set.
_DATA = (
    ("bigann", 128, 1.0),
    ("deep", 96, 4.0),
    ("msturing", 100, 4.0),
    ("msspacev", 100, 1.0),
    ("spacev", 100, 1.0),
    ("text2image", 200, 4.0),
    ("ssnpp", 256, 1.0),
    ("fbssnet", 256, 1.0),
    ("yfcc", 192, 1.0),
    ("sift", 128, 4.0),
    ("gist", 960, 4.0),
    ("glove25", 25, 4.0),
    ("glove100", 100, 4.0),
)


@dataclass(frozen=True, slots=True)
class SearchRow:
    """One setting of one index. effort: probes of an inverted file, or the list of a graph search.

    sweep: what it was varied in; coarse: candidates of the search for lists, 0 if all centroids are compared;
    bits: of a code, a dimension, 0 for full vectors, None if not told; counts: what the recall counts.
    """

    row: Row
    sweep: tuple[str, ...]
    kind: str  # "ivf" or "graph"
    data: str
    vectors: float
    dimension: float
    lists: float
    effort: float
    coarse: float
    bits: float | None
    recall: float
    counts: str

    @property
    def code_bytes(self) -> float:
        """Bytes of a code, 4 a number where vectors are full or nothing is told."""
        return self.dimension * (self.bits / 8.0 if self.bits else 4.0)


def dimension_of(data: str) -> tuple[float, float] | None:
    """Dimension of a known set of vectors, and bytes of a number; None for others."""
    plain = data.lower().replace("-", "")
    for name, dimension, number_bytes in _DATA:
        if plain.startswith(name):
            return float(dimension), number_bytes
    return None


def search_rows(rows: Sequence[Row]) -> tuple[list[SearchRow], Counter[str]]:
    """The rows whose effort and recall are told, and how many are left out for what reason.

    Raises InputError for a field that has to be a number and is none.
    """
    left_out: Counter[str] = Counter()
    sweeps: dict[tuple[str, ...], list[tuple[Row, dict[str, float]]]] = defaultdict(list)
    for row in rows:
        reason = _unsuitable(row)
        if reason:
            left_out[reason] += 1
            continue
        sweep = tuple(row.text(name) for name in ("source", "track", "hardware", "dataset"))
        given = {name.lower(): float(value) for name, value in _NUMBER.findall(_parameters(row))}
        # What an index is made of stays the same in a sweep.
        sweeps[(*sweep, row.text("algorithm") or row.text("system"), _key(row))].append((row, given))
    made = []
    for sweep, members in sweeps.items():
        name = _effort_name(members)
        for row, given in members:
            made_row = _search_row(row, sweep, name, given) if name and name in given else "no effort that laws know"
            if isinstance(made_row, str):
                left_out[made_row] += 1
            else:
                made.append(made_row)
    return made, left_out


def _unsuitable(row: Row) -> str:
    recall = row.number("recall_or_ap" if "recall_or_ap" in row.fields else "recall")
    about = f"{row.text('track')} {row.text('dataset')}".lower()
    if recall is None or not 0 < recall <= 1:
        return "no recall"
    if "filter" in about or "sparse" in about or "stream" in about:
        return "filtered, sparse or streamed"
    return "" if _parameters(row) else "no parameters"


def _parameters(row: Row) -> str:
    return row.text("parameters") or row.text("other_metric")


def _key(row: Row) -> str:
    """The index of a sweep: of its parameters what is not searched with."""
    found = re.search(
        r"(?:OPQ[0-9_]+,)?IVF[0-9]+[A-Z0-9_a-z]*(?:,[A-Z]+[A-Z0-9a-z]*)?|M=[0-9]+|R[0-9]+_L[0-9]+",
        row.text("parameters"),
    )
    return found.group(0) if found else ""


def _effort_name(members: Sequence[tuple[Row, dict[str, float]]]) -> str:
    """Of the parameters that say how much is looked at the first that varies, else the first there is."""
    names = [name for name in ("nprobe", *_LIST_NAMES) if any(name in given for _, given in members)]
    varied = [name for name in names if len({given.get(name) for _, given in members}) > 1]
    return next(iter(varied + names), "")


def _search_row(row: Row, sweep: tuple[str, ...], name: str, given: dict[str, float]) -> SearchRow | str:
    text = _parameters(row)
    data = row.text("dataset").lower().replace("-", "")
    about = dimension_of(data)
    dimension = row.number("dim") if "dim" in row.fields else None
    dimension = dimension or (about[0] if about else None)
    vectors = (row.number("items") if "items" in row.fields else None) or _count(row.text("dataset"))
    if dimension is None or vectors is None or dimension < 1 or vectors < 1:
        return "unknown set of vectors"
    if given[name] < 1:
        return "no effort that laws know"
    kind = "ivf" if name == "nprobe" else "graph"
    lists = re.search(r"IVF([0-9]+)", text)
    number = max(1.0, float(lists.group(1))) if lists else float(usual_lists(vectors))
    coarse = next((given[word] for word in _COARSE_NAMES if word in given), 0.0) if kind == "ivf" else 0.0
    recall = row.number("recall_or_ap" if "recall_or_ap" in row.fields else "recall") or 0.0
    bits = _bits(row, text, vectors, dimension, number) if kind == "ivf" else 0.0
    base = re.sub(r"[0-9.]+[kmb]$", "", data)
    return SearchRow(
        row, sweep, kind, base, vectors, dimension, number, given[name], coarse, bits, recall, _counts(row)
    )


def _count(data: str) -> float | None:
    found = _COUNT.findall(data)
    return float(found[-1][0]) * _TIMES[found[-1][1].lower()] if found else None


def _counts(row: Row) -> str:
    found = re.search(r"1-recall@([0-9]+)", f"{row.text('track')} {row.text('other_metric')}")
    if found is None:
        return ALL
    return FIRST if int(found.group(1)) == 1 else MET


def _bits(row: Row, text: str, vectors: float, dimension: float, lists: float) -> float | None:
    """Bits of a code, a dimension: of the index key, else of the size of the index."""
    if re.search(r"IVF[0-9A-Za-z_]*,Flat", text):
        return 0.0
    scalar = re.search(r"SQ([0-9]+)", text)
    if scalar:
        return float(scalar.group(1))
    product = re.search(r"(?<!O)PQ([0-9]+)(?:x([0-9]+))?", text)
    if product:
        return float(product.group(1)) * float(product.group(2) or 8) / dimension
    size = row.number("index_size_KB") if "index_size_KB" in row.fields else None
    if size is None or size <= 0:
        return None
    # A centroid, the links of a graph over centroids, and an identity of 8 bytes a vector are not code.
    code = (size * 1024.0 - lists * (4.0 * dimension + 256.0)) / vectors - 8.0
    return min(max(8.0 * code / dimension, 0.25), 32.0)
