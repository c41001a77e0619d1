"""`sixfold hospital link | join | train | release | watch | sign | decide`: a federation of one's own hospitals."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sixfold.errors import ConfigError

if TYPE_CHECKING:
    from sixfold.systems.hospital.monitor import SiteState
    from sixfold.systems.hospital.transport.flower_processes import Processes

__all__ = ["COMMANDS"]

Folder = Annotated[Path, typer.Argument(help="The coordinator's: it holds federation.yaml and kit/.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Wait = Annotated[float, typer.Option(min=0, max=3600, help="Seconds to wait for hospitals that are not connected.")]
Person = Annotated[str, typer.Option(help="Who answers for it, by name.")]


def link(
    folder: Folder,
    door: Annotated[str, typer.Option(help="HOST:PORT where hospitals come in; loopback unless told.")] = "127.0.0.1:0",
) -> None:
    """Keep the coordinator's door open: hospitals connect to it, and the other commands go through it."""
    from sixfold.systems.hospital.coordinator_folder import LINK, CoordinatorFolder, write_link
    from sixfold.systems.hospital.provision import node_keys
    from sixfold.systems.hospital.transport.flower_processes import LinkProcesses

    CoordinatorFolder.read(folder).kit()  # what is wrong in them is said before anything is started
    processes = LinkProcesses(folder / "kit", folder / "link", node_keys(folder / "kit"), _place(door))
    try:
        with processes:
            write_link(folder, processes.link, processes.door)
            print(f"door open on {processes.door[0]}:{processes.door[1]}; Ctrl-C closes it", flush=True)
            _keep_up(processes)
    finally:
        (folder / LINK).unlink(missing_ok=True)


def join(
    folder: Annotated[Path, typer.Argument(help="The hospital's: hospital.yaml, its table, permits, kit/.")],
    door: Annotated[str, typer.Option(help="HOST:PORT of the coordinator's door.")],
) -> None:
    """Take part as this hospital until Ctrl-C: connect, decide on every job by its permits, answer."""
    from sixfold.systems.hospital.hospital_files import read_settings
    from sixfold.systems.hospital.provision import load_kit
    from sixfold.systems.hospital.transport.flower_processes import HospitalProcesses

    name = read_settings(folder).name
    load_kit(folder / "kit", name)
    opener = "sixfold.systems.hospital.hospital_folder:open_hospital"
    with HospitalProcesses(folder / "kit", folder / "processes", opener, folder, _place(door)) as processes:
        print(f"{name} takes part through {door}; Ctrl-C ends that", flush=True)
        _keep_up(processes)


def train(folder: Folder, wait_s: Wait = 60.0, as_json: JsonFlag = False) -> None:
    """Train what federation.yaml says, or go on where it stopped. Run it again after whatever ended it."""
    from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder
    from sixfold.systems.hospital.federation.coordinator import RoundRecord

    def watch(record: RoundRecord) -> None:
        said = record.why or f"the sum of {', '.join(record.counted)}"
        left = f"; epsilon left: {min(record.left.values()):.3g}" if record.left else ""
        _say(f"round {record.round} attempt {record.attempt}: {said} in {record.wall_s:.1f} s{left}")

    with CoordinatorFolder.read(folder).connected(wait_s, watch) as running:
        _say(f"{len(running.online)} of {len(running.job.sites)} hospitals are connected")
        finished = running.train()
    spent = dict(finished.rounds[-1].spent) if finished.rounds else {}
    record = {
        "job": finished.job.digest,
        "rounds": finished.state.round,
        "attempts": len(finished.rounds),
        "moved_bytes": finished.moved_bytes,
        "spent": spent,
    }
    said = f"trained in {finished.state.round} rounds, {len(finished.rounds)} attempts, {finished.moved_bytes:,} bytes"
    print(json.dumps(record) if as_json else said)


def release(folder: Folder, person: Person, wait_s: Wait = 60.0, as_json: JsonFlag = False) -> None:
    """Have every hospital judge the trained model, and put it in force if it passes the gate. Exits with 1 if not."""
    from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder
    from sixfold.systems.hospital.operation.steward import ReleaseBlocked

    with CoordinatorFolder.read(folder).connected(wait_s) as running:
        candidate = running.candidate(person)
        record: dict[str, Any] = {"release": candidate.digest, "reports": dict(candidate.reports)}
        try:
            released = running.steward.release(candidate)
            record |= {"released": True, "reasons": [], **asdict(released)}
        except ReleaseBlocked as error:
            record |= {"released": False, "reasons": str(error).split("; ")}
    if as_json:
        print(json.dumps(record))
    else:
        for site, report in candidate.reports.items():
            print(f"{site}: {_report_text(report)}")
        for reason in record["reasons"]:
            print(f"blocked: {reason}")
        if record["released"]:
            print(f"release {candidate.digest} is in force, signed by {', '.join(released.signed)}")
            for site, why in {**released.refused, **released.unwatched}.items():
                print(f"not watched: {site}: {why}")
    raise typer.Exit(0 if record["released"] else 1)


def watch(
    folder: Folder,
    period: Annotated[int | None, typer.Option(min=1, help="The next one unless told.")] = None,
    wait_s: Wait = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Ask every hospital about its patients of one period. Exits with 1 while an alarm waits for a person."""
    from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder
    from sixfold.systems.hospital.monitor import Phase

    with CoordinatorFolder.read(folder).connected(wait_s) as running:
        states = running.steward.watch(period or 0)
    if as_json:
        print(json.dumps({site: _state_record(state) for site, state in states.items()}))
    else:
        for site, state in states.items():
            print(f"period {state.period}, {site}: {state.phase}{'; '.join(('', *state.reasons))}")
    raise typer.Exit(1 if any(state.phase is Phase.ALARMED for state in states.values()) else 0)


def sign(
    release_digest: Annotated[str, typer.Option("--release", help="The digest of the release in force.")],
    site: Annotated[str, typer.Option(help="The hospital whose alarm it is.")],
    period: Annotated[int, typer.Option(min=1, help="The period of the alarm.")],
    action: Annotated[str, typer.Option(help="keep, retrain or withdraw.")],
    person: Person,
    reason: Annotated[str, typer.Option(help="Why.")],
    key: Annotated[Path, typer.Option(help="A private key that hospitals trust for permits.")],
) -> None:
    """Sign a person's decision on an alarm, where the key is; it is printed, for `decide` to take to the hospitals."""
    from sixfold.systems.hospital.keys import private_key
    from sixfold.systems.hospital.operation.signed_answer import SignedAnswer

    record = {"release": release_digest, "site": site, "period": period, "action": action, "person": person}
    signed = SignedAnswer.from_json({**record, "reason": reason}).sign(private_key(key))
    print(signed.model_dump_json(indent=2))


def decide(
    folder: Folder,
    decision: Annotated[Path, typer.Argument(help="The file that `sign` printed.")],
    wait_s: Wait = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Take a signed decision on an alarm to all hospitals. Exits with 1 when one of them refuses it."""
    from sixfold.files import read_json
    from sixfold.systems.hospital.coordinator_folder import CoordinatorFolder
    from sixfold.systems.hospital.operation.signed_answer import SignedAnswer

    signed = SignedAnswer.from_json(read_json(decision))
    with CoordinatorFolder.read(folder).connected(wait_s) as running:
        refused = running.steward.answer(signed)
    if as_json:
        print(json.dumps({"action": signed.action, "site": signed.site, "refused": refused}))
    else:
        print(f"{signed.person} decided: {signed.action} ({signed.reason})")
        for site, why in refused.items():
            print(f"{site} refuses: {why}")
    raise typer.Exit(1 if refused else 0)


COMMANDS = (link, join, train, release, watch, sign, decide)


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"got the door {text!r}, expected HOST:PORT")
    return host, int(port)


def _keep_up(processes: Processes) -> None:
    """Until this process is told to end; what ended by itself is started again, all of it."""
    import signal

    def end(_: int, __: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        while True:
            time.sleep(1.0)
            if ended := processes.ended():
                _say(f"{', '.join(ended)} ended; starting again")
                processes.restart()
    except KeyboardInterrupt:
        _say("ending")
    finally:
        signal.signal(signal.SIGTERM, before)


def _report_text(report: Mapping[str, Any]) -> str:
    if not report.get("patients"):
        return "too few patients to report on"
    auroc, accuracy = report["auroc"], report["accuracy"]
    return (
        f"{report['patients']} patients, AUROC {_number(auroc['value'])}, accuracy {_number(accuracy['value'])} "
        f"[{_number(accuracy['low'])}, {_number(accuracy['high'])}], ECE {_number(report['ece'])}"
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None or value != value else f"{value:.3f}"


def _state_record(state: SiteState) -> dict[str, Any]:
    drifts = {drift.name: {"index": drift.index, "limit": drift.limit} for drift in state.drifts}
    return {
        "period": state.period,
        "phase": state.phase.value,
        "reasons": list(state.reasons),
        "drifts": drifts,
        "cusum": state.chart.height,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
