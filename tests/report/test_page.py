"""The page says what the folder says, whatever state the folder is in, and asks for nothing from outside."""

import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sixfold.axes import Axis
from sixfold.errors import InputError
from sixfold.report import render_report, write_report
from sixfold.study.milestone import Check, Comparator, Verdict
from sixfold.study.row import BASELINE, Panel, Row
from sixfold.study.run_folder import RunFolder

HOSTILE = """<script>alert(1)</script>"'&{{ 7*7 }}</svg>]]><img src=x onerror=a()>$x^2$ \\frac 模型 \ud800 \x0b"""


class Page(HTMLParser):
    """The text of a page, its tags, its ids, and what it refers to."""

    VOID = ("meta", "link", "path", "use", "rect", "circle", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words).replace("\N{NO-BREAK SPACE}", " "))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} has {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "action", "data", "xlink:href", "srcset"):
                self.references.append(value or "")
            self.references += re.findall(r"url\(([^)]*)\)", value or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.references += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", data)
        else:
            self.words.append(data)


def test_a_finished_run_shows_everything_that_was_measured(run: RunFolder) -> None:
    page = Page(render_report(run))
    assert page.open == []
    for verdict in run.verdicts():
        assert verdict.stage in page.text
        for check in verdict.checks:
            assert check.name in page.text
            assert check.detail in page.text
    for said in (
        "1.81×", "0.903", "1.11×", "3 of 4 milestones passed", "The whole pipeline at p = 2",  # headline
        "Hybrid".lower(), "in-place updates", "padding took 38 % of the time",  # design and slots
        "48.1 s", "36.0 pages/s", "$0.00057",  # baseline
        "one exact scan", "≤ 2.50 ms", "2.10 ms", "3.02 ms", "+43.8 %",  # ladder
        "relative to this machine's ceiling of 0.962",
        "Communication takes the largest share: 1.04 s", "Superlinear, so to be explained: retrieve at p = 1",
        "E 0.603: below 0.70",  # a failing row and its reason
        "sixfold study --again runs/rag-1", "04d90e9c61f3a2b8b1c4d5e6f708192a3b4c5d6e", "4f1d09a2b7c6e835",
        "blake2b:9c1e77f0", "2.60.0", "92.3 GFLOP/s", "21.0 µs", "$0.0425 an hour", "synthetic",
    ):  # fmt: skip
        assert said in page.text, said
    assert page.tags.count("svg") >= 15  # three figures of five panels
    assert "not finished" not in page.text


def test_nothing_is_fetched_and_no_ids_collide(run: RunFolder) -> None:
    html = render_report(run)
    page = Page(html)
    assert not re.search(r"(?i)https?:|//[a-z]", re.sub(r"(?s)<!--.*?-->", "", html).replace("</", ""))
    assert "script" not in page.tags
    assert len(set(page.ids)) == len(page.ids)
    for reference in page.references:
        assert reference == "data:," or reference.removeprefix("#") in page.ids, reference
    assert not re.search(r"#0a0b[0-9a-f]{2}", html), "a colour was not handed to the page"


def test_the_same_files_give_the_same_page(run: RunFolder) -> None:
    assert render_report(run) == render_report(run)
    path = write_report(run)
    assert path == run.report_path
    assert path.read_text(encoding="utf-8") == render_report(run)
    assert sorted(each.name for each in run.path.iterdir()) == [
        "events.jsonl", "manifest.json", "milestones.json", "panel.parquet", "report.html",
    ]  # fmt: skip


def test_hostile_strings_stay_text(tmp_path: Path, manifest_of: Callable[..., Any], row_of: Callable[..., Row]) -> None:
    folder = RunFolder(tmp_path)

    plain = HOSTILE.replace("\ud800", "")  # Parquet and files refuse what is no text; JSON lets it through

    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poison(each) for key, each in value.items()} | {HOSTILE: HOSTILE}
        if isinstance(value, list):
            return [poison(each) for each in value]
        return HOSTILE if isinstance(value, str) else value

    stage = {"name": plain, "removes": HOSTILE, "axis": HOSTILE, "milestone": HOSTILE}
    manifest = poison(manifest_of(data={}))
    manifest |= {"stages": [stage], "composition": "pipeline"}
    folder.manifest_path.write_text(json.dumps(manifest), encoding="utf-8")
    texts = {"stage": plain, "work_unit": plain, "quality_metric": plain}
    Panel(row_of("index", workers, **texts) for workers in (BASELINE, 1, 2)).save(folder.panel_path)
    check = Check(HOSTILE, False, HOSTILE)
    verdict = Verdict(plain, HOSTILE, Comparator.AT_LEAST, 1, 1, 1, HOSTILE, False, (check,))
    folder.milestones_path.write_text(json.dumps([verdict.to_json()]), encoding="utf-8")
    line = {
        "at": 0,
        "event": "prediction",
        "stage": plain,
        "workers": 2,
        "wall_s": 3.0,
        "law": HOSTILE,
    }
    folder.events_path.write_text(json.dumps({**line, "terms": {HOSTILE: 3.0}}) + "\n", encoding="utf-8")

    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.open == []
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


@pytest.mark.parametrize("status", ["created", "running", "interrupted", "failed"])
def test_an_unfinished_run_says_so_and_keeps_its_rows(
    status: str, run: RunFolder, manifest_of: Callable[..., Any], row_of: Callable[..., Row]
) -> None:
    run.write_manifest(manifest_of(status=status))
    Panel([row_of("index", BASELINE), row_of("index", 1)]).save(run.panel_path)
    run.milestones_path.unlink()
    if status in ("interrupted", "failed"):
        run.emit(status, error="OSError: [Errno 28] No space left on device")
    text = Page(render_report(run)).text
    assert {"interrupted": "was interrupted", "failed": "failed before"}.get(status, "has not finished") in text
    assert ("No space left" in text) == (status in ("interrupted", "failed"))
    assert "2 measured rows are kept" in text
    assert "No headline" in text
    assert "0 of 4 milestones passed" in text
    assert "6.31 s" in text


@pytest.mark.parametrize(
    "manifest",
    [
        {"system": "rag"},
        {
            "system": "rag",
            "stages": None,
            "design": None,
            "options": None,
            "lab": None,
            "profile": 3,
            "data": [],
        },
        {
            "system": "rag",
            "design": {"slots": {"partition": "by host"}, "axes": "data", "metric": {"name": "cost"}},
        },
        {"system": "rag", "headline": {"workers": None, "reason": "no row reaches E >= 0.70: best 0.41"}},
        {"system": "rag", "headline": {"workers": 2, "stage": "gone"}, "status": "finished"},
    ],
)
def test_a_manifest_with_holes_is_still_a_page(manifest: dict[str, Any], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_manifest(manifest)
    page = Page(render_report(folder))
    assert page.open == []
    assert manifest.get("headline", {}).get("reason", "") in page.text


def test_a_killed_writer_costs_only_the_events_behind_it(run: RunFolder) -> None:
    with run.events_path.open("ab") as file:
        file.write(b'{"at": 1, "event": "ro{"at": 2, "event": "row"}\n')
    text = Page(render_report(run)).text
    assert "Some events could not be read" in text
    assert "1.81×" in text


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        render_report(RunFolder(tmp_path))


def test_a_ladder_of_alternatives_has_one_baseline_and_no_total(
    tmp_path: Path, manifest_of: Callable[..., Any], row_of: Callable[..., Row]
) -> None:
    folder = RunFolder(tmp_path)
    stages = [{"name": name, "axis": "training"} for name in ("private", "secure")]
    folder.write_manifest(manifest_of(composition="alternative", stages=stages, status="finished"))
    rows = [row_of("index", BASELINE, stage="baseline")]
    rows += [row_of("index", 1, stage=name, quality=quality) for name, quality in (("private", 0.995), ("secure", 0.9))]
    Panel(rows).save(folder.panel_path)
    folder.write_verdicts([Verdict("private", "loss of quality", Comparator.AT_MOST, 0.01, 0.004, 0.005, "", True)])
    text = Page(render_report(folder)).text
    assert "whole pipeline" not in text
    assert "outside the quality gate: 0.9 < 0.99" in text
    assert "No stage was measured at more than one worker" in text
    assert "1 of 2 milestones passed" in text


def test_a_stage_that_does_not_scale_is_part_of_the_whole(
    run: RunFolder, manifest_of: Callable[..., Any], row_of: Callable[..., Row]
) -> None:
    stages = [{"name": "index", "scales": True}, {"name": "embed", "scales": False}]
    run.write_manifest(manifest_of(stages=stages, status="finished"))
    rows = [row_of(name, p) for name in ("index", "embed") for p in (BASELINE, 1)] + [row_of("index", 2)]
    rows[3] = row_of("embed", 1, quality=0.5)
    Panel(rows).save(run.panel_path)
    run.write_verdicts([v for v in run.verdicts() if v.stage in ("index", "embed")])
    text = Page(render_report(run)).text
    assert "whole pipeline" in text
    assert text.count("embed is outside the quality gate: 0.5 < 0.9895") == 2  # p = 1 and p = 2


def test_rows_that_cannot_be_compared_are_shown(
    tmp_path: Path, manifest_of: Callable[..., Any], row_of: Callable[..., Row]
) -> None:
    folder = RunFolder(tmp_path)
    folder.write_manifest(manifest_of(status="finished"))
    rows = [
        row_of("index", BASELINE),
        row_of("index", 1, quality_metric="F1"),
        row_of("index", 2, quality=math.nan),
    ]
    Panel([*rows, row_of("embed", BASELINE), row_of("embed", 2, work_unit="tokens")]).save(folder.panel_path)
    text = Page(render_report(folder)).text
    assert "outside the quality gate: F1, not identical top-10" in text
    assert "outside the quality gate: nan < 0.99" in text
    assert "E cannot be said: below 0.70" in text


def test_rows_without_work_or_beyond_eight_workers_are_drawn(
    tmp_path: Path, manifest_of: Callable[..., Any], row_of: Callable[..., Row]
) -> None:
    folder = RunFolder(tmp_path)
    folder.write_manifest(manifest_of(status="finished"))
    rows = [row_of("index", BASELINE), row_of("embed", BASELINE), row_of("embed", 2, work=0.0)]
    rows += [row_of("index", 2, workers=p, axis=Axis.DATA) for p in (1, 2, 3, 4, 8, 16, 32, 64)]
    Panel(rows).save(folder.panel_path)
    folder.write_verdicts([])
    text = Page(render_report(folder)).text
    assert "E 0.000: below 0.70" in text
    assert "0 of 1 stage keeps E ≥ 0.70" in text
