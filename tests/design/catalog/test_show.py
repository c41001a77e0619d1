import datetime
import io
import json
import sys

import pytest
from rich.console import Console

from sixfold.cli import main
from sixfold.design.catalog.show import KINDS, entries_of, kind_of, record, table
from sixfold.errors import ConfigError

TODAY = datetime.date(2026, 6, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_shows_every_entry_with_source_and_date(kind: str) -> None:
    console = Console(file=io.StringIO(), width=600)
    console.print(table(kind, TODAY))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for entry in entries_of(kind):
        line = next(line for line in shown.splitlines() if f" {entry.id} " in line)
        assert entry.source in line
        assert entry.date in line


def test_stale_prices_are_flagged_and_data_sheets_are_not() -> None:
    (fresh,) = entries_of("prices", "aws-p5-48xlarge")
    assert record("prices", fresh, TODAY)["stale"] is False
    assert record("prices", fresh, datetime.date(2026, 12, 1))["stale"] is True
    assert "stale" not in record("devices", entries_of("devices", "v100-sxm-16gb")[0], TODAY)


@pytest.mark.parametrize("name", ["failure-rates", "failure_rates", "Failure-Rate"])
def test_a_kind_is_found_however_it_is_written(name: str) -> None:
    assert kind_of(name) == "failure-rates"


def test_an_unknown_id_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="got links id 'string', expected one of nvlink-2"):
        entries_of("links", "string")


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sixfold", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_one_object(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "catalog", kind, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == kind
    assert [entry["id"] for entry in printed["entries"]] == list(KINDS[kind]())
    assert all(entry["source"] and entry["date"] for entry in printed["entries"])


def test_the_command_shows_one_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "catalog", "device", "h100-sxm-80gb") == 0
    shown = capsys.readouterr().out
    assert "NVIDIA H100 data sheet" in shown
    assert "450000000000.0" in shown


def test_an_unknown_kind_is_one_line_that_lists_the_kinds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "catalog", "spells") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1
    for kind in KINDS:
        assert kind in printed.err
