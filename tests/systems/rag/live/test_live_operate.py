"""What the commands print: receipts that can be read again."""

import json
import shutil

import pytest

from sixfold.errors import InputError
from sixfold.systems.rag.live.operate import run_compact, run_delete, run_ingest
from sixfold.systems.rag.operate import run_ask


@pytest.fixture
def index(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "index")


def test_files_are_ingested_deleted_and_compacted(index, making, tmp_path):
    more = tmp_path / "more.warc.gz"
    picture = ("http://docs.example/x.png", b"\x89PNG\r\n\x1a\n" + bytes(99))
    making.write_warc(more, [(making.url("with"), making.page("with")), picture])
    told = run_ingest([str(more)], index)
    assert told["counts"] == {"added": 1}
    assert [one["reason"] for one in told["unread"]] == ["binary"]
    assert run_ask("context manager of the with statement", index, k=1)["passages"][0]["url"] == making.url("with")
    deleted = run_delete(index, url=making.url("with"))
    assert [one["url"] for one in deleted["removed"]] == [making.url("with")]
    found = run_ask("context manager of the with statement", index, k=50)["passages"]
    assert making.url("with") not in {passage["url"] for passage in found}
    purged = run_compact(index, purge=True, grace_s=0)
    assert purged["erased"]
    assert run_compact(index, purge=True, grace_s=0)["merges"] == []
    json.dumps([told, deleted, purged])
    with pytest.raises(InputError, match="nothing in it is named by"):
        run_delete(index, host="nobody.example")


def test_a_mistyped_index_is_not_made(tmp_path):
    for call in (lambda: run_ingest([str(tmp_path)], tmp_path / "no"), lambda: run_delete(tmp_path / "no", url="u:/x")):
        with pytest.raises(InputError, match="no such file"):
            call()
    assert not (tmp_path / "no").exists()
