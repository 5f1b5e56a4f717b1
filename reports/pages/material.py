"""What a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from reports.history.past import Past
from reports.runs.comparison import Comparison
from reports.runs.night import Night
from reports.runs.ratios import Ratio
from reports.runs.selection import Selection
from reports.verdict.judgement import Judgement


@dataclass(frozen=True)
class Material:
    """A night, judged, with what it is shown beside."""

    night: Night
    comparisons: Sequence[Comparison]
    tables: pd.DataFrame
    """The notebook's tables."""
    third_party: pd.DataFrame
    """Third-party runs."""
    judgement: Judgement
    cells: pd.DataFrame
    """The distances of tonight's runs from their reference runs."""
    ratios: Sequence[Ratio]
    """Of the latest measurement of each variant."""
    past: Past | None = None
    """Earlier nights, where a history folder is given."""

    @property
    def selection(self) -> Selection:
        """The runs that are shown."""
        return self.night.selection
