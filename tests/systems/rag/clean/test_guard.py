"""A guarded page can end its process, and only that: the next process drops it with the reason and goes on."""

import os
import resource
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from sixfold.axes import Axis
from sixfold.errors import ConfigError
from sixfold.systems.rag.build_clean import MOST_ATTEMPTS, CleanJob, clean_split
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_steps import clean, plan
from sixfold.systems.rag.clean.cleaner import CONFIGS, Cleaner, CleanerConfig
from sixfold.systems.rag.clean.guard import EXIT_OUT_OF_MEMORY, PageGuard
from sixfold.systems.rag.crew import RayCrew, SerialCrew
from sixfold.systems.rag.records import Document, Kind, RawRecord, Source

GOOD = "<p>" + "".join(f"This is the {i} line of a page that has to be kept with care. " for i in range(9)) + "</p>"
DEADLINE_S = 0.5
HOOKS = """
import ctypes, os, signal
from sixfold.systems.rag.clean.cleaner import CONFIGS, CleanerConfig
from sixfold.systems.rag.clean.extract import extract, Extraction

def act(html):
    if "hang in C" in html:
        ctypes.PyDLL(None).sleep(3600)  # holds the interpreter lock
    if "hang" in html:
        while True: pass
    if "crash" in html:
        os.kill(os.getpid(), signal.SIGKILL)
    if "memory" in html:
        return Extraction("", "x" * (1 << 33))
    return extract(html)

CONFIGS["hostile"] = CleanerConfig(filters=(), languages=None, extractor=act)
"""


def folder_of(tmp_path, pages):
    """A planned build of HTML files, one split of them all."""
    site = tmp_path / "site"
    site.mkdir()
    for number, page in enumerate(pages):
        text = GOOD.replace("care", f"care {number}")
        (site / f"{number}.html").write_text(text if page == "good" else f"<p>{page}</p>")
    folder = BuildFolder(tmp_path / "build")
    plan(folder, [str(site)], BuildSettings(preset="hostile", page_deadline_s=DEADLINE_S))
    return folder


def fates(folder):
    """(the pages that were kept, page -> (reason, detail) of the others)."""
    kept = {row["doc_id"] for row in pq.read_table(folder.documents(0)).to_pylist()}
    gone = {
        os.path.basename(r["url"]): (r["reason"], r["detail"]) for r in pq.read_table(folder.dropped(0)).to_pylist()
    }
    return len(kept), gone


@pytest.fixture
def hooks(tmp_path, monkeypatch):
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "hostile_pages.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path / "hooks"))
    import hostile_pages  # noqa: F401

    yield tmp_path / "hooks"
    del CONFIGS["hostile"], sys.modules["hostile_pages"]


@pytest.mark.ray
def test_hanging_crashing_and_greedy_pages_are_dropped_and_the_rest_is_cleaned(hooks, tmp_path, ray_lab):
    pages = ["good", "hang", "good", "hang in C", "crash", "memory", "good"]
    folder = folder_of(tmp_path, pages)

    def load_hooks(_):
        sys.path.insert(0, str(hooks))
        import hostile_pages  # noqa: F401

    class Hostile(RayCrew):
        """Its workers know the hostile extractor, the successors of the dead ones too."""

        def map(self, task, items, **options):
            def hooked(item):
                load_hooks(0)
                return task(item)

            return super().map(hooked, items, **options)

    crew = Hostile(1, Axis.DATA)
    (report,) = clean(folder, crew, lambda *_: None)
    crew.close()
    kept, gone = fates(folder)
    assert (kept, report.kept, report.dropped) == (3, 3, 4)
    assert gone == {
        "1.html": ("deadline", "more than 0.5 s"),
        "3.html": ("deadline", "more than 0.5 s"),
        "4.html": ("crash", f"ended {MOST_ATTEMPTS} processes"),
        "5.html": ("memory", f"more than {1 << 30} bytes"),
    }
    assert report.rework == MOST_ATTEMPTS - 1
    assert not list(folder.path.rglob("*.last-word"))


def test_it_gives_what_the_cleaner_gives_and_puts_the_process_back(tmp_path):
    records = [
        RawRecord("http://h/1", GOOD.encode(), Kind.HTML, "utf-8", Source("a.warc", 1, "sha1:X")),
        RawRecord("http://h/\ud800", "Grüße ".encode("utf-16") * 90, Kind.TEXT, None, Source("b", 2, "")),
    ]
    cleaner = Cleaner(CleanerConfig(filters=(), languages=None))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with PageGuard(tmp_path / "word", deadline_s=0.2, memory_bytes=1 << 30) as guard:
        assert guard.fault is None
        assert [guard.clean(cleaner, r) for r in records] == [cleaner.clean(r) for r in records]
        assert resource.getrlimit(resource.RLIMIT_DATA) != before
    time.sleep(0.3)  # or the watchdog would end pytest
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert not (tmp_path / "word").exists()
    with pytest.raises(ConfigError, match="deadline_s is 0"):
        PageGuard(tmp_path / "word", deadline_s=0, memory_bytes=1)


@pytest.mark.parametrize(("page", "code"), [("hang", 1), ("memory", EXIT_OUT_OF_MEMORY), ("crash", -9)])
def test_a_killed_build_goes_on_behind_the_page_that_ended_it(hooks, tmp_path, page, code):
    folder = folder_of(tmp_path, ["good", page, "good"])
    program = """
import sys; sys.path.insert(0, sys.argv[1])
import hostile_pages
from pathlib import Path
from sixfold.systems.rag.build_clean import CleanJob, clean_split
from sixfold.systems.rag.build_folder import BuildFolder
_, settings, splits = BuildFolder(Path(sys.argv[2])).read_plan()
clean_split(CleanJob(Path(sys.argv[2]), 0, splits[0], settings, guarded=True))
"""
    attempts = MOST_ATTEMPTS if page == "crash" else 1
    for left in range(attempts, -1, -1):
        process = subprocess.run([sys.executable, "-c", program, hooks, folder.path], capture_output=True, text=True)
        assert process.returncode == (code if left else 0), process.stderr
    kept, gone = fates(folder)
    assert kept == 2
    assert list(gone) == ["1.html"]


def test_a_page_that_a_dead_build_had_begun_is_tried_again(hooks, tmp_path):
    """kill -9 of the build is not the page's fault: the result is what it would have been."""
    folder = folder_of(tmp_path, ["good"])
    _, settings, splits = folder.read_plan()
    folder.journal(0).parent.mkdir()
    folder.journal(0).write_text('{"begin":0}\n' * (MOST_ATTEMPTS - 1))
    report = clean_split(CleanJob(folder.path, 0, splits[0], settings, guarded=True))
    assert (report.kept, report.dropped, report.rework) == (1, 0, MOST_ATTEMPTS - 1)


def test_without_a_guard_nothing_is_watched(hooks, tmp_path):
    folder = folder_of(tmp_path, ["good", "good"])
    (report,) = clean(folder, SerialCrew(Axis.DATA), lambda *_: None)
    assert report.kept == 2
    assert isinstance(
        Cleaner(CONFIGS["hostile"]).clean(RawRecord("u", GOOD.encode(), Kind.HTML, None, Source("", 0, ""))), Document
    )
