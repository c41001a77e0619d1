"""Where one build keeps its intermediate files; each appears whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError
from sixfold.files import read_json, replace_json
from sixfold.systems.rag.splits import Format, Split

__all__ = ["BuildFolder", "BuildSettings", "input_state"]


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What decides the bytes of an index, beside its input. The number of workers is not among them."""

    preset: str = "web"
    languages: tuple[str, ...] | None = ("en",)  # None keeps every language
    split_bytes: int = 8_000_000
    capacity_bytes: int = 1_000_000_000  # what one shard may hold
    page_deadline_s: float = 10.0
    near_duplicate_jaccard: float = 0.8
    strip_known_items: bool = False  # cut the summaries that the evaluation asks for out of the indexed text

    def __post_init__(self) -> None:
        for name in ("split_bytes", "capacity_bytes", "page_deadline_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        for language in self.languages or ():
            if not re.fullmatch("[a-z]{2,3}", language):
                raise ConfigError(f"got language {language!r}, expected a code of ISO 639-1 such as en")
        if not 0 < self.near_duplicate_jaccard <= 1:
            raise ConfigError(f"near_duplicate_jaccard must be in (0, 1], got {self.near_duplicate_jaccard}")


class BuildFolder:
    """The layout of `INDEX/builds/NNNN`. Part n of every kind comes from split n."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def plan_path(self) -> Path:
        return self.path / "build.json"

    @property
    def done_path(self) -> Path:
        return self.path / "done.json"

    @property
    def dedup(self) -> Path:
        return self.path / "dedup"

    @property
    def drops(self) -> Path:
        """The documents that deduplication dropped."""
        return self.dedup / "drops.parquet"

    @property
    def superseded(self) -> Path:
        """Published documents whose URL has another text now."""
        return self.dedup / "superseded.parquet"

    @property
    def drop_counts(self) -> Path:
        """Written when deduplication is whole."""
        return self.dedup / "counts.json"

    def journal(self, part: int) -> Path:
        return self.path / "journal" / f"{part:06d}.jsonl"

    def last_word(self, part: int) -> Path:
        """What a process that a page ended has to say."""
        return self.path / "journal" / f"{part:06d}.last-word"

    def documents(self, part: int) -> Path:
        return self.path / "documents" / f"{part:06d}.parquet"

    def dropped(self, part: int) -> Path:
        return self.path / "dropped" / f"{part:06d}.parquet"

    def clean_report(self, part: int) -> Path:
        """Written when a part is whole."""
        return self.path / "documents" / f"{part:06d}.json"

    def known_items(self, part: int) -> Path:
        """URL -> the sentence that was cut out of the page (`strip_known_items`)."""
        return self.path / "known" / f"{part:06d}.json"

    def chunks(self, part: int) -> Path:
        """A folder with one Parquet file a shard."""
        return self.path / "chunks" / f"{part:06d}"

    def write_plan(self, inputs: list[str], settings: BuildSettings, splits: list[Split]) -> None:
        """Freeze what this build is to do."""
        record = {
            "inputs": inputs,
            "settings": asdict(settings),
            "splits": [{**asdict(s), "format": s.format.value} for s in splits],
            "state": input_state(splits),
        }
        replace_json(self.plan_path, record)

    def read_state(self) -> str:
        """`input_state` at the time of the plan."""
        return str(read_json(self.plan_path).get("state"))

    def write_shards(self, shards: int) -> None:
        """Remember how many shards the passages are being laid out for."""
        replace_json(self.path / "shards.json", shards)

    def read_shards(self) -> int | None:
        """What was remembered, None before the first attempt."""
        path = self.path / "shards.json"
        return int(read_json(path)) if path.exists() else None

    def read_plan(self) -> tuple[list[str], BuildSettings, list[Split]]:
        """What this build is doing; ConfigError if another version wrote it."""
        record: dict[str, Any] = read_json(self.plan_path)
        known = {f.name for f in fields(BuildSettings)}
        if set(record["settings"]) != known:
            raise ConfigError(f"{self.plan_path} was written by another version of sixfold; build into a new folder")
        languages = record["settings"]["languages"]
        settings = BuildSettings(**{**record["settings"], "languages": None if languages is None else tuple(languages)})
        splits = [
            Split(s["file"], s["start"], s["end"], Format(s["format"]), tuple(s["members"])) for s in record["splits"]
        ]
        return record["inputs"], settings, splits


def input_state(splits: Iterable[Split]) -> str:
    """A digest of the names, sizes and times of all files: another one when a file was changed."""
    files = {file for split in splits for file in (split.members or (split.file,))}
    state = blake2b(digest_size=16)
    for file in sorted(files):
        try:
            stat = os.stat(file)
        except OSError:
            state.update(f"{file!r} gone\n".encode())
        else:
            state.update(f"{file!r} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return state.hexdigest()
