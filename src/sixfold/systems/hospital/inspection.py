"""What a hospital sees of its own folder before any federation does: its cohort, and what has to be mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.cohort_report import cohort_report, report_text
from sixfold.systems.hospital.data.harmonise import Finding, Source, harmonise, load_mapping
from sixfold.systems.hospital.data.storage import Cell
from sixfold.systems.hospital.hospital_files import HospitalSettings, in_test_part, read_own
from sixfold.systems.hospital.hospital_folder import staying
from sixfold.systems.hospital.policy.opt_out import read_opt_outs

__all__ = ["Inspection", "inspect_folder"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A hospital's own view of its patients. errors: of variables that no job could read, which are left out.

    cohort: without those who opted out. findings: of the whole table; they can quote it. test: patients of the test
    part. registered: who is in the register of opt-outs. left_out: those of them who are in the table.
    """

    settings: HospitalSettings
    cohort: Cohort
    findings: tuple[Finding, ...]
    errors: tuple[str, ...]
    test: int
    registered: int
    left_out: int

    @property
    def exit_code(self) -> int:
        """2 for what no job could read, 1 for findings that have to be mended, else 0."""
        return 2 if self.errors else int(any(finding.to_mend for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """Plain values. `report` shows no small cell, and may be passed on; the rest is for the hospital alone."""
        own = self.settings
        return {
            "dataset": own.dataset,
            "table": own.table,
            "report": cohort_report(self.cohort, self.findings),
            "test": self.test,
            "opted_out": {"registered": self.registered, "left_out": self.left_out},
            "findings": [{**asdict(finding), "to_mend": finding.to_mend} for finding in self.findings],
            "errors": list(self.errors),
        }

    def text(self) -> str:
        """For a person: the cohort, then each finding and error in a line."""
        lines = [
            report_text(cohort_report(self.cohort)).rstrip(),
            f"  test part: {self.test} of {len(self.cohort)}; opted out: {self.left_out} of the table are left out, "
            f"{self.registered} are in the register",
        ]
        if self.cohort.time_N is not None:
            lines.append(f"  days until the outcome or the end of follow-up: from column {self.settings.time}")
        lines += [
            f"  {'mend' if finding.to_mend else 'note'}: {finding.variable}: {finding.why}: {finding.count}"
            for finding in self.findings
        ]
        lines += [f"  wrong: {error}" for error in self.errors]
        return "\n".join(lines)


def inspect_folder(folder: Path) -> Inspection:
    """Read hospital.yaml, its mapping, its register of opt-outs and its table; writes nothing and sends nothing.

    Raises InputError, with file, line and field where there are any, for what leaves no cohort at all.
    """
    own = load_yaml(folder / "hospital.yaml", HospitalSettings)
    mapping = load_mapping(folder / own.mapping)
    opted_out = read_opt_outs(folder / "opt_out.csv")
    raw = read_own(folder, own, mapping)
    _harmonised(raw, {}, own)  # what is wrong with pseudonyms, outcomes or times is wrong with every variable
    sound, errors = {}, []
    for name, source in mapping.items():
        try:
            _harmonised(raw, {name: source}, own)
        except InputError as error:
            errors.append(str(error))
        else:
            sound[name] = source
    everybody, findings = _harmonised(raw, sound, own)
    staying_N = staying(everybody, opted_out)
    test_N = in_test_part(own, raw, everybody)
    return Inspection(
        settings=own,
        cohort=everybody.take(staying_N),
        findings=findings,
        errors=tuple(errors),
        test=int((test_N & staying_N).sum()),
        registered=len(opted_out),
        left_out=int((~staying_N).sum()),
    )


def _harmonised(
    raw: Mapping[str, list[Cell]], mapping: Mapping[str, Source], own: HospitalSettings
) -> tuple[Cohort, tuple[Finding, ...]]:
    return harmonise(raw, mapping, own.name, own.patient, own.outcome, own.time)
