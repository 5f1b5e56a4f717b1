"""How the pictures look, as far as numbers can tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from hnrnn import published
from reports.figures import models as figures
from tests.made_up import made_up_record


def test_many_seeds_are_drawn_fainter() -> None:
    """A thousand curves and dots are faint enough to see what lies behind them."""
    first = made_up_record("Model1", 0)
    epochs, table = pd.DataFrame(first.epoch_rows()), published.tables()
    none = published.third_party_runs().iloc[:0]
    darkness = []
    for count in (20, 1000):
        many = pd.concat([epochs.assign(seed=seed) for seed in range(count)], ignore_index=True)
        many[list(published.MEASURES)] += np.linspace(-0.1, 0.1, len(many))[:, None]
        axes = figures.curves("Model1", many, table, none).axes[0]
        (lines,) = (each for each in axes.collections if isinstance(each, LineCollection))
        assert len(lines.get_segments()) == count
        alpha = lines.get_alpha()
        dots = figures.overview(many, table, none).axes[0].collections[1]
        darkness.append((count * alpha, dots.get_sizes()[0] * dots.get_alpha()))
    (few, large), (crowd, small) = darkness
    assert few == 10
    assert crowd == pytest.approx(30)
    assert small < large / 2
