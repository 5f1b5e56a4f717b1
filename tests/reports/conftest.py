"""What the tests of reports share: blank pictures, and judging that takes less time."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from reports.figures import models
from reports.pages import pictures
from reports.verdict import grid_test


def blank(*_: object) -> Figure:
    """Draw nothing."""
    return Figure(figsize=(0.1, 0.1))


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture of a page is a white dot."""
    for name in ("overview", "curves", "backends", "eras"):
        monkeypatch.setattr(models, name, blank)
    for name in ("trend", "departures"):
        monkeypatch.setattr(pictures, name, blank)


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge by a tenth of the permutations: a p-value of 0.001 is small enough here."""
    monkeypatch.setattr(grid_test, "PERMUTATIONS", 999)
