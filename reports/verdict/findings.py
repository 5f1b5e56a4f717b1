"""Accepted findings: variants whose table is known to differ from the notebook's.

A finding is a measured rate: of so many seeds, so many have a table as extreme as the notebook's.
A night contradicts it with too many such seeds, or with too few. It replaces the test of that one
table and nothing else: the variant's runs are still held against their reference runs and against
the baseline.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.store.files import read_regular
from bench.text import one_line
from hnrnn.variants import LARGEST_SEED, VARIANTS
from reports.statistics.ranks import same_rate_p_value
from reports.verdict.notebook import DIFFERS, LEVEL, Agreement, Certificate

ACCEPTED_FILE = Path(__file__).parents[1] / "findings.toml"
LARGEST_FILE_BYTES = 4 * 2**20
MOST_SEEDS = LARGEST_SEED + 1
NAMED_AT_MOST = 5
FINDING_LEVEL = LEVEL / len(VARIANTS)
"""At which a night contradicts a finding: its share of the level of all tables' tests."""
LONGEST_REASON = 200_000
"""Characters."""


class FindingsError(Exception):
    """A findings file cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Finding:
    """An accepted finding: of ``seeds`` seeds, ``as_extreme`` have a table as extreme."""

    variant: str
    as_extreme: int
    seeds: int
    reason: str

    def __post_init__(self) -> None:
        """Raise TypeError or ValueError for values that a finding cannot have."""
        if not (isinstance(self.variant, str) and isinstance(self.reason, str)):
            raise TypeError("variant and reason must be text")
        # type(), since True is an int too.
        if not (type(self.as_extreme) is int and type(self.seeds) is int):
            raise TypeError("as_extreme and seeds must be whole numbers")
        if self.seeds > MOST_SEEDS:
            raise ValueError(f"seeds must be at most {MOST_SEEDS}")
        if len(self.reason) > LONGEST_REASON:
            raise ValueError(f"a reason must have at most {LONGEST_REASON} characters")
        if not 0 <= self.as_extreme <= self.seeds or not self.seeds:
            raise ValueError(
                f"as_extreme must be from 0 to seeds, not {self.as_extreme} of {self.seeds}"
            )

    @property
    def p_value(self) -> float:
        """The measured whole-table p-value."""
        return (self.as_extreme + 1) / (self.seeds + 1)


def read_findings(path: Path = ACCEPTED_FILE) -> list[Finding]:
    """Return the accepted findings; raise FindingsError if the file is invalid."""
    try:
        content = tomllib.loads(read_regular(path, LARGEST_FILE_BYTES).decode("utf-8"))
        findings = [Finding(**row) for row in content.pop("finding", [])]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FindingsError(
            f"cannot read findings from {path} ({one_line(error)}): it needs a [[finding]] with "
            "variant, as_extreme, seeds and reason for each"
        ) from error
    if content:
        names = one_line(", ".join(map(str, content)))
        raise FindingsError(f"{path}: {names} is not a [[finding]]: remove it")
    counts = Counter(finding.variant for finding in findings)
    unknown = [variant for variant in counts if variant not in VARIANTS]
    if unknown:
        names = one_line(", ".join(unknown[:NAMED_AT_MOST]))
        raise FindingsError(f"{path}: unknown variant {names}: use one of {', '.join(VARIANTS)}")
    twice = [variant for variant, count in counts.items() if count > 1]
    if twice:
        raise FindingsError(f"{path}: more than one finding on {', '.join(twice)}: keep one each")
    return findings


def contradiction_p_value(finding: Finding, agreement: Agreement) -> float:
    """Return the two-sided p-value of the finding's rate being that of these seeds too.

    The test is exact and counts the uncertainty of both rates. It needs seeds that the finding was
    not measured on. Without seeds it is 1.
    """
    return same_rate_p_value(
        agreement.as_extreme, agreement.seeds, finding.as_extreme, finding.seeds
    )


def changed(findings: Sequence[Finding], agreement: Agreement) -> bool:
    """Return whether a variant contradicts its finding, or differs without a finding."""
    for finding in findings:
        if finding.variant == agreement.variant:
            return contradiction_p_value(finding, agreement) <= FINDING_LEVEL
    return agreement.verdict == DIFFERS


def is_accepted(findings: Sequence[Finding], agreement: Agreement) -> bool:
    """Return whether a variant's table differs as a finding says."""
    return agreement.verdict == DIFFERS and not changed(findings, agreement)


def unexpected(findings: Sequence[Finding], certificate: Certificate) -> list[Agreement]:
    """Return the agreements that contradict the findings."""
    return [agreement for agreement in certificate.agreements if changed(findings, agreement)]
