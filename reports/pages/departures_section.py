"""The parts of a verdict on the computation: tonight's runs beside the reference runs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.text import counted
from hnrnn import departures as limits
from reports.pages.tables import NO_VALUE, escape, number, paragraphs, table_of
from reports.runs.departures import FASTAI, OURS
from reports.verdict.departure import Departure, amount
from reports.verdict.pairs import Pairs, in_words
from reports.verdict.same_computation import (
    SameComputation,
    accepted_in_words,
    odd_in_words,
    reasons_in_words,
    summary,
)

PICTURE = "departures.png"
GUIDE = (
    f"A seed fixes the initial weights. Every run is held against {FASTAI}'s own run of its "
    "seed, from equal initial weights. *departure* is the distance of the median seed in units "
    "of the rounding spread: how far healthy executions of one seed usually are apart. The "
    f"limit is {limits.MARGIN:g} times the furthest that any was; a seed whose healthy executions "
    f"were measured often has a limit of its own. A configuration departs where {limits.SHARE:.0%} "
    "of its seeds are beyond the limit, or fewer but too many for chance (a probability of at most "
    f"{limits.LEVEL:g}, if {limits.JUMP_RATE:.0%} of healthy seeds were); where more than one in "
    f"{limits.ODD_ONE_IN} is {limits.FAR:g} times beyond it; or where a single one is "
    f"{limits.HUGE:g} times beyond it or is no number. A seed that {FASTAI} has no "
    f"run of is held against {OURS}. Rounding may have moved these too: there the rule of one in "
    f"{limits.ODD_ONE_IN} does not count, and one seed alone is at most unexplained. On a device "
    f"where rounding was never measured, what is beyond the limit, and less than {limits.WIDER:g} "
    "times, is unexplained. Each row shows the first epoch and column that depart or, where none "
    "does, the nearest to its limit."
)


def same_computation_part(same: SameComputation, *, pictured: bool = False) -> str:
    """Return how far each configuration is from the reference runs of its seeds."""
    names = ", ".join(escape(" ".join(configuration)) for configuration in same.uncovered)
    without = escape(reasons_in_words(same))
    return paragraphs(
        "### The same computation?",
        GUIDE,
        f"{_capital(summary(same))}." if same.passed else "",
        _table(same.departures) if same.departures else "",
        f"{_capital(escape(accepted_in_words(same)))}." if same.accepted else "",
        f"Without a reference: {without}." if without else "",
        f"Nothing is therefore shown of {names}." if names else "",
        *map(escape, odd_in_words(same)),
        f"![Distance from the reference runs by epoch]({PICTURE})" if pictured else "",
    )


def pairs_part(pairs: Pairs) -> str:
    """Return what the runs that the night and the baseline both have come to."""
    parts = []
    if pairs.passed or pairs.equal_weights == pairs.runs > 0:
        parts.append(f"{_capital(escape(in_words(pairs)))}.")
    elif pairs.departures:
        parts.append(f"{_capital(counted(pairs.runs, 'run'))} have a pair in the baseline:")
        parts.append(_table(pairs.departures))
    for reason, count in pairs.not_compared.items():
        parts.append(f"Not compared: {counted(count, 'run')}, {escape(reason)}.")
    return paragraphs(*parts)


def _table(found: Sequence[Departure]) -> str:
    severity = {limits.ANOTHER_COMPUTATION: 0, limits.UNEXPLAINED: 1}
    return table_of(
        sorted(found, key=lambda each: severity.get(each.verdict, 2)),
        [
            ("model", lambda d: d.variant),
            ("backend", lambda d: d.backend),
            ("verdict", lambda d: d.verdict),
            ("where", lambda d: d.place),
            ("departure", lambda d: amount(d.departure)),
            ("of its limit", lambda d: number(d.nearness, digits=2)),
            ("distance", lambda d: f"{d.distance:.1e}"),
            ("seeds", lambda d: str(d.seeds)),
            ("beyond there", lambda d: str(d.seeds_beyond)),
            ("compared with our published runs", lambda d: str(d.seeds_of_ours or NO_VALUE)),
            ("BatchNorm starts", lambda d: d.initialisation),
        ],
        text=("model", "backend", "verdict", "where", "BatchNorm starts"),
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
