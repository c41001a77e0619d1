"""The set of URLs already known: a Bloom filter, so that a URL costs bits and not its own length."""

from __future__ import annotations

import math
from pathlib import Path

from rbloom import Bloom
from xxhash import xxh3_128_intdigest

from sixfold.errors import ConfigError, InputError

__all__ = ["SeenSet", "bits_per_url", "url_hash"]

_HALF = 1 << 127


def bits_per_url(false_positive_rate: float) -> float:
    """Bits that one URL takes: 1.44 log2(1/p) (B. H. Bloom, 1970; the optimum, m/n = log2(e) log2(1/p))."""
    return math.log2(math.e) * math.log2(1 / false_positive_rate)


def url_hash(url: str) -> int:
    """A signed 128-bit hash of a URL that is the same in every process and run."""
    return int(xxh3_128_intdigest(url.encode("utf-8", "surrogatepass"))) - _HALF


class SeenSet:
    """Remembers up to `capacity` URLs with at most `false_positive_rate`; never forgets one.

    A false positive is a page that is never fetched, so the rate is chosen for less than one in a crawl.
    """

    def __init__(self, capacity: int, false_positive_rate: float = 1e-7, *, bloom: Bloom | None = None) -> None:
        if capacity < 1 or not 0 < false_positive_rate < 1:
            raise ConfigError(
                f"got capacity {capacity} and false-positive rate {false_positive_rate}, "
                "expected at least 1 and between 0 and 1"
            )
        self.capacity = capacity
        self.false_positive_rate = false_positive_rate
        self._bloom = Bloom(capacity, false_positive_rate, url_hash) if bloom is None else bloom
        self.added = 0

    def add(self, url: str) -> bool:
        """Remember `url`; True when it was new."""
        if url in self._bloom:
            return False
        self._bloom.add(url)
        self.added += 1
        return True

    def __contains__(self, url: str) -> bool:
        return url in self._bloom

    @property
    def size_bits(self) -> int:
        """Bits that the filter takes."""
        return int(self._bloom.size_in_bits)

    def measured_false_positive_rate(self, probes: int = 20_000, seed: int = 0) -> float:
        """The share of `probes` URLs that were never added and that the filter claims to know.

        An invalid scheme makes the probes disjoint from anything added. With no hit in n probes the rate is
        below 3/n at 95 % confidence.
        """
        hits = sum(f"probe:{seed}:{number}" in self._bloom for number in range(probes))
        return hits / probes

    def estimated_false_positive_rate(self) -> float:
        """The rate that the present filling implies: (1 - e^(-kn/m))^k with k = (m/n_max) ln 2."""
        m = self.size_bits
        k = max(1, round(m / self.capacity * math.log(2)))
        return float((1 - math.exp(-k * self.added / m)) ** k)

    def save(self, path: Path) -> None:
        """Write the filter to `path`; `load` reads it back."""
        header = f"{self.capacity} {self.false_positive_rate!r} {self.added}\n".encode()
        path.write_bytes(header + self._bloom.save_bytes())

    @classmethod
    def load(cls, path: Path) -> SeenSet:
        """Read a filter that `save` wrote; InputError when the file is not one."""
        try:
            header, _, body = path.read_bytes().partition(b"\n")
            capacity, rate, added = header.split()
            loaded = cls(int(capacity), float(rate), bloom=Bloom.load_bytes(body, url_hash))
            loaded.added = int(added)
        except (OSError, ValueError, ConfigError) as error:
            raise InputError(f"not a saved seen-set: {error}", path=path) from None
        return loaded
