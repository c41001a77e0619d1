"""`sixfold rag ...`: operate the text build for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sixfold.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Web-scale text: crawl, clean, deduplicate, index, embed, retrieve.")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
IndexOption = Annotated[
    Path | None,
    typer.Option("--index", help="The index; without it, that of the newest run of the rag study."),
]


@app.command()
def site(
    packages: Annotated[str | None, typer.Option(help="Only these top-level packages, by commas.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pages.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the slow and the broken pages.")] = 0,
) -> None:
    """Serve the embedded web on loopback addresses: the documentation of the installed Python, five hosts a package."""
    from sixfold.systems.rag.embedded_web import serve_site

    serve_site(packages.split(",") if packages else None, limit, seed, port)


@app.command()
def crawl(
    seeds: Annotated[list[str], typer.Argument(help="URLs to begin with.")],
    out: Annotated[Path, typer.Option(help="Folder for the WARC files and the crawl's journal.")],
    workers: Annotated[int, typer.Option(min=0, help="Ray actors; 0 crawls in this process.")] = 2,
    pages: Annotated[int, typer.Option(min=1, help="At most this many pages.")] = 10_000,
    depth: Annotated[int, typer.Option(min=0, help="At most this many links from a seed.")] = 16,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds between two requests to one host.")] = 1.0,
    any_host: Annotated[bool, typer.Option("--any-host", help="Follow links to hosts that no seed names.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Crawl politely into WARC files; run again to go on where it stopped."""
    from sixfold.systems.rag.operate import run_crawl

    summary = run_crawl(seeds, out, workers=workers, pages=pages, depth=depth, delay_s=delay, any_host=any_host)
    print(json.dumps(summary) if as_json else _lines(summary))


@app.command()
def build(
    inputs: Annotated[
        list[str], typer.Argument(help="WARC, WET, JSONL files or globs; folders of HTML, text, Markdown.")
    ],
    out: Annotated[Path, typer.Option(help="The index: made, resumed, or added to.")],
    workers: Annotated[int, typer.Option(min=0, help="Ray actors; 0: in this process, unguarded.")] = 2,
    capacity: Annotated[str, typer.Option(help="What one shard may hold, such as 512MB.")] = "1GB",
    preset: Annotated[str, typer.Option(help="Quality rules: web or documentation.")] = "web",
    languages: Annotated[str, typer.Option(help="Languages to keep, by commas; 'all' keeps every one.")] = "en",
    address: Annotated[str | None, typer.Option(help="Join this Ray cluster instead of starting one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Build an index, or add to it; killed at any moment, the same command goes on with the next record."""
    from sixfold.systems.rag.operate import run_build

    summary = run_build(
        inputs,
        out,
        workers=workers,
        capacity_bytes=parse_bytes(capacity),
        preset=preset,
        languages=None if languages == "all" else tuple(languages.split(",")),
        address=address,
    )
    print(json.dumps(summary) if as_json else _lines(summary))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In words.")],
    index: IndexOption = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="How many passages.")] = 5,
    language: Annotated[str | None, typer.Option(help="Only passages in this language.")] = None,
    host: Annotated[str | None, typer.Option(help="Only passages of this host.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the passages that answer a question best, each with its source."""
    from sixfold.systems.rag.operate import print_passages, run_ask

    answer = run_ask(question, index, k=k, language=language, host=host)
    if as_json:
        print(json.dumps(answer))
    else:
        print_passages(answer)


@app.command()
def serve(
    index: Annotated[
        Path | None, typer.Argument(help="The index; without it, that of the newest run of the rag study.")
    ] = None,
    host: Annotated[str, typer.Option(help="Beyond loopback SIXFOLD_TOKEN has to be set.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="8600, or a free one if it is taken.")] = None,
    groups: Annotated[int | None, typer.Option(min=1, help="Processes for the shards; one a shard without it.")] = None,
    shard_replicas: Annotated[int, typer.Option(min=1, help="Replicas of each; hedging needs two.")] = 1,
    gateways: Annotated[int, typer.Option(min=1)] = 1,
    encoders: Annotated[int, typer.Option(min=1)] = 1,
    models: Annotated[int, typer.Option(min=1, help="Replicas of the language model.")] = 1,
    model_threads: Annotated[int, typer.Option(min=1, help="Of each embedded language model.")] = 1,
    generate: Annotated[bool, typer.Option(help="Without it, answers are quotations.")] = True,
    model_url: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint, /v1 included.")] = None,
    model_name: Annotated[str, typer.Option(help="What that endpoint calls the model.")] = "default",
    embeddings_url: Annotated[str | None, typer.Option(help="The same for embeddings, of the index's model.")] = None,
    rerank_url: Annotated[str | None, typer.Option(help="The same for a reranker.")] = None,
    rerank: Annotated[bool, typer.Option(help="Rerank with the embedded encoder's token vectors.")] = False,
    key_variable: Annotated[str | None, typer.Option(help="Environment variable with the endpoints' key.")] = None,
    deadline: Annotated[float, typer.Option(min=0.05, max=60, help="Seconds for a request that names none.")] = 10.0,
    writes: Annotated[bool, typer.Option(help="Whether documents can be added and taken down.")] = True,
    ingest_share: Annotated[float, typer.Option(min=0.01, max=1, help="Of a core, for new documents.")] = 0.25,
    crawls: Annotated[list[Path] | None, typer.Option("--crawl", help="A crawl that takedowns reach.")] = None,
    address: Annotated[str | None, typer.Option(help="Serve on this Ray cluster.")] = None,
    first_question: Annotated[str | None, typer.Option(help="Ask this when it is ready.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first question.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Answer questions over HTTP, with a page for people: gateways, shards, encoder and language model on Ray Serve."""
    from sixfold.systems.rag.operate import newest_index
    from sixfold.systems.rag.serve.operate import run_serve, usual_port
    from sixfold.systems.rag.serve.settings import Endpoint, Replicas, ServeSettings

    def endpoint(url: str | None, model: str) -> Endpoint | None:
        return Endpoint(url, model, key_variable) if url else None

    settings = ServeSettings(
        index=index or newest_index(),
        host=host,
        port=port or usual_port(host),
        groups=groups,
        replicas=Replicas(gateway=gateways, shard=shard_replicas, embed=encoders, model=models),
        deadline_s=deadline,
        generate=generate,
        model_threads=model_threads,
        model=endpoint(model_url, model_name),
        embeddings=endpoint(embeddings_url, "default"),
        reranker=endpoint(rerank_url, "default"),
        rerank=rerank,
        writes=writes,
        ingest_share=ingest_share,
        crawls=tuple(crawls or ()),
    )
    run_serve(settings, address=address, question=first_question, once=once, as_json=as_json)


@app.command()
def ingest(
    inputs: Annotated[list[str], typer.Argument(help="WARC, JSONL, HTML, text, Markdown; files, folders, globs.")],
    index: IndexOption = None,
    allow_duplicates: Annotated[bool, typer.Option(help="Keep pages that repeat others.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Put pages into an index that is being served; they are answered from at once."""
    from sixfold.systems.rag.live.operate import run_ingest
    from sixfold.systems.rag.operate import newest_index

    told = run_ingest(inputs, index or newest_index(), allow_duplicates=allow_duplicates)
    shown = {**told["counts"], "unread": len(told["unread"]), "generation": told["generation"]}
    print(json.dumps(told) if as_json else _lines(shown))


@app.command()
def recrawl(
    crawl_folder: Annotated[Path, typer.Argument(metavar="CRAWL", help="The folder of a crawl.")],
    budget: Annotated[int, typer.Option(min=1, help="Pages to fetch at most.")],
    period: Annotated[float, typer.Option(min=1.0, help="Seconds that the budget is for.")] = 86_400.0,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds between two requests to one host.")] = 1.0,
    index: Annotated[Path | None, typer.Option("--index", help="Put what changed in, take what is gone out.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Look again at the pages of a crawl, those first whose changes a visit is most likely to find."""
    from sixfold.systems.rag.crawl.recrawl import run_recrawl

    told = run_recrawl(crawl_folder, budget=budget, period_s=period, delay_s=delay, index=index)
    shown = {key: len(value) if isinstance(value, list) else value for key, value in told.items() if key != "pages"}
    print(json.dumps(told) if as_json else _lines(shown))


@app.command()
def takedown(
    index: IndexOption = None,
    url: Annotated[str | None, typer.Option(help="Exactly this URL.")] = None,
    host: Annotated[str | None, typer.Option(help="Everything of this host.")] = None,
    pattern: Annotated[str | None, typer.Option(help="URLs like this one; * stands for anything.")] = None,
    subdomains: Annotated[bool, typer.Option(help="Of the host, too.")] = False,
    crawls: Annotated[list[Path] | None, typer.Option("--crawl", help="Also from this crawl and its archive.")] = None,
    reason: Annotated[str, typer.Option(help="Kept in the receipt.")] = "",
    scan: Annotated[bool, typer.Option(help="Search every byte of index and crawls for it afterwards.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Take a URL, a host or a pattern down from answers, index, builds, archives and crawls; the receipt says where."""
    from sixfold.systems.rag.operate import newest_index
    from sixfold.systems.rag.takedown import takedown as take_down

    receipt = take_down(
        index or newest_index(),
        url=url,
        host=host,
        pattern=pattern,
        subdomains=subdomains,
        crawls=crawls or (),
        reason=reason,
        scan=scan,
    ).as_json()
    print(json.dumps(receipt) if as_json else _lines({key: told for key, told in receipt.items() if told}))


@app.command()
def compact(
    index: IndexOption = None,
    purge: Annotated[bool, typer.Option(help="Until nothing that was deleted is left on the disk.")] = False,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Of one core.")] = 1.0,
    as_json: JsonFlag = False,
) -> None:
    """Merge segments while the index is served and written to."""
    from sixfold.systems.rag.live.operate import run_compact
    from sixfold.systems.rag.operate import newest_index

    told = run_compact(index or newest_index(), purge=purge, share=share)
    print(
        json.dumps(told) if as_json else _lines({**told, "merges": len(told["merges"]), "erased": len(told["erased"])})
    )


@app.command()
def why(url: Annotated[str, typer.Argument()], index: IndexOption = None, as_json: JsonFlag = False) -> None:
    """Say what became of a URL: kept, or dropped, by which rule, with the value that was measured."""
    from sixfold.systems.rag.operate import run_why

    records = run_why(url, index)
    if as_json:
        print(json.dumps({"url": url, "records": records}))
        return
    for record in records:
        print(_lines(record))


@app.command()
def trace(chunk_id: Annotated[str, typer.Argument()], index: IndexOption = None, as_json: JsonFlag = False) -> None:
    """Follow a passage back to its document, its characters in the clean text, and its record in the input."""
    from sixfold.systems.rag.operate import run_trace

    record = run_trace(chunk_id, index)
    print(json.dumps(record) if as_json else _lines(record))


@app.command("eval")
def evaluate(
    collection: Annotated[Path, typer.Option(help="A folder in BEIR, TREC or SMART form.")],
    as_json: JsonFlag = False,
) -> None:
    """Score lexical, vector and fused retrieval on a test collection, with bootstrap intervals."""
    from sixfold.systems.rag.evaluate import run_eval

    run_eval(collection, json=as_json)


def parse_bytes(text: str) -> int:
    """'512MB' -> 512_000_000; kB, MB, GB, TB are powers of 1000 and KiB... of 1024."""
    units = {
        "": 1,
        "b": 1,
        "kb": 1e3,
        "mb": 1e6,
        "gb": 1e9,
        "tb": 1e12,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
    }
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    try:
        size = int(float(digits) * units[text[len(digits) :].strip().lower()])
    except (ValueError, KeyError, OverflowError):
        raise ConfigError(f"{text!r} is not a size such as 512MB or 1GiB") from None
    if size < 1:
        raise ConfigError(f"a size must be positive, got {text!r}")
    return size


def _lines(record: object) -> str:
    if not isinstance(record, dict):
        return str(record)
    width = max(map(len, record))
    lines = []
    for key, value in record.items():
        told = value.items() if isinstance(value, dict) else [(value, "")]
        for number, (what, count) in enumerate(told):
            lines.append(f"{'' if number else key.replace('_', ' '):<{width}}  {what} {count}".rstrip())
    return "\n".join(lines)
