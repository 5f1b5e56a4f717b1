"""Is one table of runs worse than another? One max-T test over configurations and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from bench.text import counted
from reports.runs.last_values import Runs
from reports.statistics.intervals import Interval, difference_interval
from reports.statistics.permutation import max_t_test, oriented, smallest_max_t_p_value
from reports.statistics.power import POWER, smallest_visible_drop, smallest_visible_drop_of_pairs
from reports.verdict.decision import EXIT_CODES, INCOMPLETE, REGRESSED
from reports.verdict.notebook import AGREES, INCONCLUSIVE

Key = tuple[object, ...]
Array = npt.NDArray[np.float64]

PERMUTATIONS = 99_999
"""So many that a p-value of 5% is known to 0.2 points."""
LEVEL = 0.05
WORSE, NOT_WORSE = "worse", "not worse"
CODES = {
    WORSE: EXIT_CODES[REGRESSED],
    INCOMPLETE: EXIT_CODES[INCOMPLETE],
    INCONCLUSIVE: EXIT_CODES[INCONCLUSIVE],
    NOT_WORSE: EXIT_CODES[AGREES],
}
LEFT_OUT, WORST = "left-out", "worst"
"""What runs without a value may count as."""
WITHOUT_CORRECTION = 0.5
"""The confidence of ``smallest_visible_drop`` at which no baseline is reused."""


@dataclass(frozen=True)
class Column:
    """One metric of one configuration, before and after; the first ``pairs`` values are of pairs.

    The values are as they were measured; that of a run that diverged is not finite.
    """

    configuration: str
    metric: str
    larger_is_better: bool
    before: Array
    after: Array
    pairs: int
    left_out: tuple[int, int]
    """Values before and after without a partner, where the other side has none to compare with."""

    @property
    def name(self) -> str:
        """The configuration and the metric in words."""
        return f"{self.configuration} {self.metric}".strip()

    @property
    def remark(self) -> str:
        """What was left out of the test, in words; empty if nothing was."""
        before, after = self.left_out
        if not before + after:
            return ""
        where, runs = "before" if before else "after", counted(before + after, "run")
        return f"{self.name}: {runs} {where} left out: the other table lacks their keys"

    def worse(self, values: Array) -> Array:
        """Return values so that larger is worse, and what is not finite the worst."""
        finite = np.where(np.isfinite(values), values, np.nan)
        return oriented(finite, larger_is_better=self.larger_is_better)

    @property
    def means(self) -> tuple[float, float]:
        """The means of the finite values before and after; NaN without any."""
        b, a = (values[np.isfinite(values)] for values in (self.before, self.after))
        return (float(b.mean()) if len(b) else math.nan, float(a.mean()) if len(a) else math.nan)

    @property
    def diverged(self) -> tuple[int, int]:
        """How many values before and after are not finite."""
        return int((~np.isfinite(self.before)).sum()), int((~np.isfinite(self.after)).sum())

    @property
    def alone(self) -> tuple[int, int]:
        """How many values before and after are independent ones."""
        return len(self.before) - self.pairs, len(self.after) - self.pairs

    @property
    def smallest_p_value(self) -> float:
        """The p-value that no order of these values is below, whatever the other columns have."""
        b, a = self.alone
        apart = self.worse(np.concatenate([self.before[self.pairs :], self.after[self.pairs :]]))
        # As extreme on the other side is one more order, unless ties make the ranks lopsided.
        mirrored = a == b or len(np.unique(apart)) == len(apart)
        return smallest_max_t_p_value(
            b, a, pairs=self.pairs, permutations=PERMUTATIONS, two_sided=mirrored
        )

    def interval(self, confidence: float) -> Interval:
        """Return the difference of the means, after less before, with its interval."""
        (b, a), pairs = self.alone, self.pairs
        nothing = np.full(max(a, b), np.nan)
        before = np.concatenate([self.before, nothing[:a]])
        after = np.concatenate([self.after[:pairs], nothing[:b], self.after[pairs:]])
        if any(self.diverged):
            return Interval(self.means[1] - self.means[0], math.nan, math.nan)
        return difference_interval(after, before, level=confidence, paired=True)

    def visible(self, level: float, columns: int) -> float:
        """Return the change for the worse that is seen with probability ``power.POWER``, or NaN."""
        sign = 1 if self.larger_is_better else -1
        before, after = sign * self.before, sign * self.after
        finite = np.isfinite(before[: self.pairs]) & np.isfinite(after[: self.pairs])
        parts = []
        if self.pairs and finite.sum() > 1:
            paired = (values[: self.pairs][finite] for values in (after, before))
            parts.append(
                smallest_visible_drop_of_pairs(
                    *paired, level=level, columns=columns, two_sided=True
                )
            )
        if min(self.alone) and np.isfinite(before).sum() > 1:
            parts.append(
                smallest_visible_drop(
                    before, night=self.alone[1], baseline=self.alone[0], level=level,
                    columns=columns, two_sided=True, confidence=WITHOUT_CORRECTION,
                )
            )  # fmt: skip
        # Both tests are weighted by their precision: what they show adds up like information.
        if not parts or 0 in parts:
            return 0.0 if parts else math.nan
        together = sum(part**-2 for part in parts)
        return math.inf if together == 0 else float(together**-0.5)


@dataclass(frozen=True)
class Difference:
    """What the test says of one column; ``interval`` holds together with all others."""

    column: Column
    interval: Interval
    p: float
    """That of "there is no difference": two-sided, and adjusted for all columns."""
    worse: bool
    """Whether the values after are worse rather than better, as the test ranks them."""
    visible: float
    enough: bool
    """Whether any order of so many values could be rejected."""
    level: float

    @property
    def p_in_words(self) -> str:
        """The p-value with as many decimals as there are permutations."""
        return f"{self.p:.5f}"

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``inconclusive``, or nothing."""
        if self.p <= self.level:
            return WORSE if self.worse else "better"
        return "" if self.enough else INCONCLUSIVE


@dataclass(frozen=True)
class Comparison:
    """All differences of two tables, and what is missing or was left out, in words."""

    differences: tuple[Difference, ...]
    level: float
    missing: tuple[str, ...]
    """What the second table should have and lacks."""
    notes: tuple[str, ...]

    @cached_property
    def verdict(self) -> str:
        """``worse`` beats ``incomplete``, which beats ``inconclusive``."""
        found = {each.verdict for each in self.differences}
        if WORSE in found:
            return WORSE
        if self.missing or not self.differences:
            return INCOMPLETE
        return INCONCLUSIVE if INCONCLUSIVE in found else NOT_WORSE

    @property
    def exit_code(self) -> int:
        """The exit code of the verdict."""
        return CODES[self.verdict]


def compare_tables(
    before: Runs,
    after: Runs,
    larger_is_better: Mapping[str, bool],
    *,
    level: float = LEVEL,
    paired: bool = True,
    missing: str = "",
) -> Comparison:
    """Test every configuration and metric that both tables have, at ``level`` for all together.

    ``larger_is_better`` has the metrics. With ``paired``, runs of one configuration and key in both
    tables are pairs; all others are independent samples. All configurations of one key are permuted
    together, so that the test is exact whatever they have in common. Runs without a value are left
    out, which makes the comparison incomplete; with ``missing`` WORST they are worse than any
    other, and with LEFT_OUT they are known to say nothing.
    """
    old, new = (list(dict.fromkeys(runs.table["configuration"])) for runs in (before, after))
    columns, labels = [], []
    for name in (each for each in new if each in old):
        for metric, better in larger_is_better.items():
            values = [_values(runs, name, metric, missing) for runs in (before, after)]
            column, rows = _column(name, metric, *values, better=better, paired=paired)
            columns.append(column)
            labels.append(rows)
    notes = [*before.notes, *before.missing, *after.notes]
    notes += [f"{before.name} has no runs of {name}" for name in new if name not in old]
    notes += [each.remark for each in columns if each.remark]
    lacking = [*after.missing]
    lacking += [f"{after.name} has no runs of {name}" for name in old if name not in new]
    return Comparison(
        differences=tuple(_tested(columns, labels, level)),
        level=level,
        missing=() if missing else tuple(lacking),
        notes=tuple([*notes, *lacking] if missing else notes),
    )


def _values(runs: Runs, configuration: str, metric: str, missing: str) -> dict[Key, float]:
    """Return one configuration's values by key; a run without a key is one of its own."""
    own = runs.table[runs.table["configuration"] == configuration]
    values = own[metric].fillna(np.inf) if missing == WORST else own[metric]
    keys = (key or (runs.name, configuration, place) for place, key in enumerate(own["key"]))
    return {key: value for key, value in zip(keys, values, strict=True) if not np.isnan(value)}


def _column(
    configuration: str,
    metric: str,
    before: dict[Key, float],
    after: dict[Key, float],
    *,
    better: bool,
    paired: bool,
) -> tuple[Column, list[Key]]:
    """Return the column, and what its rows are: the pairs, then those before, then those after."""
    pairs = [key for key in before if key in after] if paired else []
    alone = [[key for key in side if key not in set(pairs)] for side in (before, after)]
    left_out = (0, 0)
    if pairs and not all(alone):
        left_out, alone = (len(alone[0]), len(alone[1])), [[], []]
    column = Column(
        configuration,
        metric,
        larger_is_better=better,
        before=np.array([before[key] for key in (*pairs, *alone[0])], dtype=np.float64),
        after=np.array([after[key] for key in (*pairs, *alone[1])], dtype=np.float64),
        pairs=len(pairs),
        left_out=left_out,
    )
    sides = (("pair", pairs), ("before", alone[0]), ("after", alone[1]))
    return column, [(side, *key) for side, keys in sides for key in keys]


def _tested(columns: Sequence[Column], labels: list[list[Key]], level: float) -> list[Difference]:
    """Return the differences of columns whose rows have these labels."""
    if not columns:
        return []
    places = {label: i for i, label in enumerate(dict.fromkeys(chain.from_iterable(labels)))}
    before, after = (np.full((len(places), len(columns)), np.nan) for _ in range(2))
    for i, (column, rows) in enumerate(zip(columns, labels, strict=True)):
        own = np.array([places[row] for row in rows], dtype=np.int64)
        pairs, last = column.pairs, len(column.before)
        before[own[:last], i] = column.worse(column.before)
        after[own[[*range(pairs), *range(last, len(own))]], i] = column.worse(column.after)
    test = max_t_test(after, before, permutations=PERMUTATIONS, paired=True, two_sided=True)
    count = len(columns)
    intervals = [column.interval(1 - level / count) for column in columns]
    # The power of the ranks is optimistic for few runs. No less is visible than by the interval.
    widths = 0.5 * (1 + float(ndtri(POWER)) / float(ndtri(1 - level / (2 * count))))
    return [
        Difference(
            column,
            interval,
            p=p,
            worse=statistic > 0,
            visible=float(
                np.fmax(column.visible(level, count), widths * (interval.high - interval.low))
            ),
            enough=column.smallest_p_value <= level,
            level=level,
        )
        for column, interval, p, statistic in zip(
            columns, intervals, test.p_values.tolist(), test.statistics.tolist(), strict=True
        )
    ]
