"""Real HTML for benchmarks: the pages of Debian's documentation packages, as one WARC file.

    python benchmarks/debian_warc.py [--pages 12000] [--out bench-data/debian-12000.warc.gz]

Needs `apt-get` and `dpkg-deb` (Debian or Ubuntu) and no root: packages are downloaded and unpacked, not installed.
The pages are drawn with a fixed seed, each package giving the same share as long as it has pages.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

PACKAGES = (
    "rust-doc", "openjdk-17-doc", "cppreference-doc-en-html", "python-scipy-doc", "python-pandas-doc",
    "debian-handbook", "linux-doc-6.1", "postgresql-doc-15", "python-django-doc", "sqlite3-doc",
)  # fmt: skip
DATA = Path(__file__).parent.parent / "bench-data"


def unpack(package: str) -> Path:
    """The folder with the files of one package, downloaded once."""
    folder = DATA / "unpacked" / package
    if folder.exists():
        return folder
    debs = DATA / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    if not list(debs.glob(f"{package}_*.deb")):
        subprocess.run(["apt-get", "download", "-q", package], cwd=debs, check=True, stdout=subprocess.DEVNULL)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-x", str(next(debs.glob(f"{package}_*.deb"))), str(partial)], check=True)
    partial.rename(folder)
    return folder


def make_warc(out: Path, pages: int, seed: int = 0) -> int:
    """Write `pages` pages (fewer if there are not as many) to `out`; returns how many."""
    draw = random.Random(seed)
    piles = []
    for package in PACKAGES:
        folder = unpack(package)
        files = [(package, f, folder) for f in sorted(folder.rglob("*.html")) if f.is_file() and not f.is_symlink()]
        draw.shuffle(files)
        piles.append(files)
    chosen: list[tuple[str, Path, Path]] = []
    while len(chosen) < pages and any(piles):
        for pile in piles:
            if pile and len(chosen) < pages:
                chosen.append(pile.pop())
    partial = out.with_suffix(".partial")
    with partial.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for package, path, root in chosen:
            payload = path.read_bytes()
            record = writer.create_warc_record(
                f"http://{package}.debian.example/{path.relative_to(root)}",
                "response",
                payload=BytesIO(payload),
                http_headers=StatusAndHeaders(
                    "200 OK",
                    [("Content-Type", "text/html"), ("Content-Length", str(len(payload)))],
                    protocol="HTTP/1.1",
                ),
                warc_headers_dict={"WARC-Identified-Payload-Type": "text/html"},
            )
            writer.write_record(record)
    partial.rename(out)
    return len(chosen)


def debian_warc(pages: int) -> Path:
    """The WARC with that many pages, made when it is not there yet."""
    DATA.mkdir(exist_ok=True)
    out = DATA / f"debian-{pages}.warc.gz"
    if not out.exists():
        print(f"making {out}", file=sys.stderr)
        make_warc(out, pages)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=12_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.out is None:
        print(debian_warc(arguments.pages))
    else:
        print(make_warc(arguments.out, arguments.pages), "pages")
