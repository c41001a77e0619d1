"""The command line: one object or a table on stdout, one line for what the user can mend, honest exit codes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

ENGLISH = (
    "A raise statement stops what a program is doing and looks for somebody who can handle the trouble. "
    "If nobody does, the interpreter prints what happened and where. "
    "The handlers are tried in the order in which they are written, and the first one that fits is taken. "
    "Whatever stands in the last block is executed in any case, and that is the place to close a file. "
)
COOKING = (
    "Bread is made of flour, water, salt and time, and the dough has to rest before it is baked. "
    "Whoever bakes it in a pot with a lid gets a better crust, because the steam stays inside. "
    "An oven that is hot enough is more important than the kind of flour that was bought. "
    "It keeps for a week in a linen bag, and on the last days it is still good for toast. "
)


def sixfold(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sixfold", *map(str, arguments)],
        capture_output=True, text=True, timeout=100, check=False, **options,
    )  # fmt: skip


def refused(done, *words):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().startswith("sixfold: ")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    pages = folder / "pages"
    pages.mkdir()
    for name, text in (
        ("errors", ENGLISH),
        ("bread", COOKING),
        ("short", "This page is shorter than whoever wrote it had in mind."),
    ):
        (pages / f"{name}.html").write_text(f"<title>All about {name}</title><main><p>{text}</p></main>")
    done = sixfold("rag", "build", pages, "--out", folder / "index", "--workers", 0, "--preset", "documentation")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "documents 2" in " ".join(done.stdout.split())
    return folder / "index"


def test_help_names_every_command():
    done = sixfold("--help")
    assert done.returncode == 0
    for word in ("systems", "lab", "study", "report", "rag"):
        assert word in done.stdout
    assert sixfold("rag", "build", "--help").returncode == 0


def test_no_command_shows_the_help():
    done = sixfold("rag")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "build" in done.stdout + done.stderr


def test_systems_as_json():
    done = sixfold("systems", "--json")
    assert done.returncode == 0
    rag = next(system for system in json.loads(done.stdout) if system["name"] == "rag")
    assert rag["stages"] == ["crawl-clean-dedup", "index", "embed", "retrieve", "serve", "evaluate"]
    assert "data" in rag["axes"]


@pytest.mark.filterwarnings("ignore:.*Click 9:DeprecationWarning")  # of typer, when it is imported
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["study"], "which system"),
        (["study", "nothing"], "no system 'nothing'"),
        (["study", "rag", "--workers", "one"], "--workers"),
        (["study", "rag", "--workers", "0"], "workers"),
        (["study", "rag", "--quick", "--full"], "exclude each other"),
        (["study", "rag", "--set", "colour=red"], "colour"),
        (["study", "rag", "--set", "pages"], "name=value"),
        (["study", "rag", "--stage", "nothing"], "nothing"),
        (["study", "--again", "/nowhere"], "/nowhere"),
        (["report", "/nowhere"], "/nowhere"),
        (["study", "rag", "--bogus"], "--bogus"),
        (["bogus"], "bogus"),
        (["rag", "ask"], "QUESTION"),
        (["rag", "ask", "x", "--k", "0"], "--k"),
        (["rag", "ask", "x", "--index", "/nowhere"], "/nowhere"),
        (["rag", "ask", " "], "index"),
        (["rag", "why", "http://x/", "--index", "/nowhere"], "/nowhere"),
        (["rag", "trace", "x", "--index", "/nowhere"], "/nowhere"),
        (["rag", "build", "x.warc", "--out", "/tmp/x", "--capacity", "many"], "many"),
        (["rag", "build", "x.warc", "--out", "/tmp/x", "--capacity", "1e999GB"], "1e999GB"),
        (["rag", "build", "x.warc", "--out", "/tmp/x", "--languages", ""], "language"),
        (["rag", "build", "x.warc", "--out", "/tmp/x", "--address", "127.0.0.1:1"], "x.warc"),
        (["rag", "eval", "--collection", "/nowhere"], "/nowhere"),
    ],
    ids=" ".join,
)
def test_what_the_user_can_mend_is_one_line(arguments, word, tmp_path, monkeypatch, capsys):
    """In this process: the same `main`, without a second of imports each."""
    from sixfold.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["sixfold", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    refused(subprocess.CompletedProcess(arguments, left.value.code, *capsys.readouterr()), word)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_option_has_no_traceback_in_a_real_shell(tmp_path):
    refused(sixfold("rag", "build", "--bogus", cwd=tmp_path), "--bogus", "sixfold rag build --help")


def test_a_passage_is_found_explained_and_traced(index):
    asked = sixfold("rag", "ask", "how do I bake bread?", "--index", index, "--k", 2, "--json")
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    first = answer["passages"][0]
    assert first["title"] == "All about bread"
    assert first["text"] in COOKING
    why = json.loads(sixfold("rag", "why", first["url"], "--index", index, "--json").stdout)
    assert [record["fate"] for record in why["records"]] == ["kept"]
    dropped = json.loads(
        sixfold("rag", "why", first["url"].replace("bread", "short"), "--index", index, "--json").stdout
    )
    assert [(record["fate"], record["reason"]) for record in dropped["records"]] == [("dropped", "too-few-words")]
    traced = json.loads(sixfold("rag", "trace", first["chunk_id"], "--index", index, "--json").stdout)
    assert traced["text"] == first["text"]
    assert traced["digest"] == first["source"]["digest"]


def test_people_read_the_same(index):
    asked = sixfold("rag", "ask", "bread", "--index", index)
    assert "All about bread" in asked.stdout
    assert "bread.html at byte 0" in " ".join(asked.stdout.split())


def test_a_source_that_has_changed_since_is_named(index):
    answer = json.loads(sixfold("rag", "ask", "handlers of trouble", "--index", index, "--json").stdout)
    first = answer["passages"][0]
    path = index.parent / "pages" / "errors.html"
    before = path.read_bytes()
    try:
        path.write_bytes(before + b"<p>More.</p>")
        refused(sixfold("rag", "trace", first["chunk_id"], "--index", index), "has changed")
    finally:
        path.write_bytes(before)


def test_no_index_anywhere(tmp_path):
    refused(sixfold("rag", "ask", "what?", cwd=tmp_path), "--index")


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    refused(sixfold("rag", "ask", "what?", "--index", tmp_path), "manifest.json")


def test_interrupted_is_130(tmp_path):
    """Ctrl-C while a build waits for a page: the exit code says so, and nothing else is printed."""
    page = f"<title>x</title><main><p>{ENGLISH}</p></main>"
    (tmp_path / "pages.jsonl").write_text(
        "".join(json.dumps({"url": f"http://x/{n}", "html": page}) + "\n" for n in range(5_000))
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sixfold", "rag", "build", str(tmp_path / "pages.jsonl"),
         "--out", str(tmp_path / "index"), "--workers", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("index/builds/0001/journal/*")) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.strip() == "sixfold: interrupted"
