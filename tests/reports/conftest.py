"""What the tests of reports share: pages whose pictures nobody looks at."""

from __future__ import annotations

import pytest

from reports.figures import models
from reports.pages import pictures

# isort: split
from matplotlib.figure import Figure  # last: reports.figures.models sees to how it is imported


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
