"""What a night is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.store.store import Contents
from reports.runs.night import Night
from reports.verdict.acceptance import Acceptance
from reports.verdict.findings import Finding
from reports.verdict.gates import LastNight


@dataclass(frozen=True)
class Evidence:
    """What a night is judged by."""

    night: Night
    baseline: Night | None = None
    confirmation: Night | None = None
    confirmation_folder: str = "results/confirmation"
    """Where ``confirmation`` is read from."""
    findings: tuple[Finding, ...] = ()
    accepted: Acceptance | None = None
    """What the baseline was accepted with; None where it was only frozen."""
    last: LastNight | None = None
    """The latest earlier night in the history. What ran then must run tonight."""
    why_no_last: str = "no history was given"
    """Why there is no night before."""
    unreadable_history: Mapping[str, str] = field(default_factory=dict)
    """The files of the history that cannot be read, with the reason."""

    @classmethod
    def of(
        cls,
        night: Contents,
        baseline: Contents | None = None,
        confirmation: Contents | None = None,
        *,
        findings: tuple[Finding, ...] = (),
        accepted: Acceptance | None = None,
        last: LastNight | None = None,
    ) -> Evidence:
        """Select the runs of each folder once; those of the other two are like the night's."""
        own = Night.of(night)
        before, fresh = (
            None if contents is None else Night.of(contents, own)
            for contents in (baseline, confirmation)
        )
        return cls(own, before, fresh, findings=findings, accepted=accepted, last=last)
