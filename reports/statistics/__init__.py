"""Tests, intervals and power: pure functions on arrays, useful beyond this project.

    from reports.statistics import envelope_p_value, max_t_test, seeds_for_drop

They import NumPy and SciPy only. The CUSUM charts are in ``reports.statistics.cusum``.
"""

from __future__ import annotations

from reports.statistics.changes import change_point
from reports.statistics.envelope import (
    area_measures,
    area_p_value,
    envelope_p_value,
    extreme_rank_lengths,
    global_envelope,
    p_values_of_each,
    smallest_p_value,
)
from reports.statistics.intervals import Interval, difference_interval
from reports.statistics.permutation import MaxT, max_t_test, oriented, smallest_max_t_p_value
from reports.statistics.power import (
    seeds_for_drop,
    smallest_visible_drop,
    smallest_visible_drop_of_pairs,
)
from reports.statistics.ranks import (
    clopper_pearson,
    holm,
    joint_p_value,
    rank_p_value,
    same_rate_p_value,
    seeds_needed,
    smallest_rank_p_value,
)
from reports.statistics.rounding import distances, rounding_limits, times_beyond
from reports.statistics.tolerance import corrected_level

__all__ = [
    "Interval",
    "MaxT",
    "area_measures",
    "area_p_value",
    "change_point",
    "clopper_pearson",
    "corrected_level",
    "difference_interval",
    "distances",
    "envelope_p_value",
    "extreme_rank_lengths",
    "global_envelope",
    "holm",
    "joint_p_value",
    "max_t_test",
    "oriented",
    "p_values_of_each",
    "rank_p_value",
    "rounding_limits",
    "same_rate_p_value",
    "seeds_for_drop",
    "seeds_needed",
    "smallest_max_t_p_value",
    "smallest_p_value",
    "smallest_rank_p_value",
    "smallest_visible_drop",
    "smallest_visible_drop_of_pairs",
    "times_beyond",
]
