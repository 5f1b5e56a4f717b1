"""Other code computes every number of the published report again from its records."""

from __future__ import annotations

from tests.published import backends, departures, models, provenance, verdicts
from tests.published.page import PUBLISHED, Page, Records

FIXED = (
    "lie outside the central 95%",
    "*95%* is from the 2.5% to the 97.5% quantile",
    "from 1 (below all of ours) to N + 1 (above all of ours)",
    "with its 95% bootstrap interval",
    "its ratio should be 1.",
    "Intervals are 95% Clopper-Pearson intervals.",
    "with 95% intervals",
    "depart from the reference runs after 2 epochs,",
    "| injected | 1 seed | 2 seeds | 5 seeds |",
    "Before PyTorch 1.2 the weights",
    "they start at 1.",
    "The seeds above start at 1;",
    "BatchNorm weights, at 1 (`ones`)",
    "does not reject it at 5% among",
    "Before PyTorch 1.2 every run",
    "At 5%, one in 20 is rejected",
    "held against fastai 1.0.61's own run of its seed",
    "The limit is 3 times the furthest that any was",
    "where 80% of its seeds are beyond the limit, or fewer",
    "(a probability of at most 0.0001, if 5% of healthy seeds were)",
    "where more than one in 20 is 10 times beyond it;",
    "where a single one is 1000 times beyond it or is no number.",
    "A seed that fastai 1.0.61 has no run of",
    "the rule of one in 20 does not count",
    "beyond the limit, and less than 10 times, is unexplained.",
    "| 95% |",
    ": 95% |",
    "their share, 95% |",
)
"""What the page says to explain itself: levels and definitions, that no data change."""


def test_every_number() -> None:
    """No figure stands on the page that is not computed again here; what is, is the same."""
    page = Page((PUBLISHED / "cpu" / "report" / "report.md").read_text(encoding="utf-8"))
    records = Records()
    for section in (models, backends, departures, verdicts, provenance):
        section.check(page, records)
    assert len(page.unclaimed()) > 0  # before what only explains is claimed
    page.claim(*FIXED)
    assert page.unclaimed() == []
