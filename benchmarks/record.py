"""Run benchmarks, print their tables, and write benchmarks/README.md from what they measured.

    python benchmarks/record.py [--quick] [NAME ...]

Results are kept in bench-data/results/NAME.json; a benchmark that is not named keeps its last result in the page.
`--quick` runs the short form and leaves the page alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import common

HERE = Path(__file__).parent
RESULTS = common.REPOSITORY / "bench-data" / "results"
PARTS = {"common", "debian_warc", "hospital_rounds_site", "record", "serve_hostile_corpus", "serve_support"}
INTRODUCTION = """# Benchmarks

Each is a script beside its peers in one run: `make bench` runs all of them and writes this page. Ratios are ours
over the peer's. The machines are shared: medians over repeats, one thread a worker, CPU time where other processes
would enter.
"""


def names() -> list[str]:
    """Every benchmark of this folder."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in PARTS)


def run(name: str, quick: bool) -> bool:
    """Run one benchmark, keep and print its result; False if it failed or missed a target."""
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        print(f"{name}: no result, exit code {done.returncode}", file=sys.stderr)
        return False
    rows = [common.Row(**row) for row in result["rows"]]
    common.show(result["benchmark"], result["machine"], rows, as_json=False)
    if not quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        result["date"] = date.today().isoformat()
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return done.returncode == 0 and all(row.passed is not False for row in rows)


def page() -> str:
    """benchmarks/README.md of every result that is kept."""
    parts = [INTRODUCTION]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        about = result["machine"]
        parts.append(f"## {path.stem.replace('_', ' ')}\n\n{_subject(path.stem)}\n")
        parts.append("| what | ours | peer | ratio | target | | |\n| --- | ---: | ---: | ---: | ---: | --- | --- |")
        parts += [_line(row) for row in result["rows"]]
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        parts.append(
            f"\n{result['date']}, {about['cpu']}, {about['cores']} cores, load {about['load_1min']:.1f} at the start; "
            f"{versions}. `python benchmarks/{path.stem}.py`\n"
        )
    return "\n".join(parts)


def _subject(name: str) -> str:
    return (HERE / f"{name}.py").read_text().split('"""')[1].strip().splitlines()[0]


def _line(row: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:,.4g}"

    passed = {True: "passed", False: "**missed**", None: ""}[row["passed"]]
    ours = f"{number(row['value'])} {row['unit']}".strip()
    cells = [row["metric"], ours, *(number(row[key]) for key in ("peer", "ratio", "target")), passed, row["note"]]
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all without")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names()):
        sys.exit(f"no benchmark {min(unknown)!r}; there are {', '.join(names())}")
    missed = [name for name in arguments.names or names() if not run(name, arguments.quick)]
    if not arguments.quick:
        (HERE / "README.md").write_text(page())
    if missed:
        sys.exit(f"failed or below target: {', '.join(missed)}")
