"""The report's section on history."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.history.drift import DriftTest, find_drifts
from reports.pages.history_section import NIGHTS_SHOWN, history_section
from tests.history_data import FIRST, even, made_up_baseline, made_up_history, summary

NO_TEST = find_drifts(made_up_history(0))


def section(history: pd.DataFrame, test: DriftTest = NO_TEST) -> str:
    """Return the section of a history whose files can all be read, without pictures."""
    return history_section(history, {}, test, {})


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the table of nights, without its header."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][2:]


def test_no_night() -> None:
    """Without a night there is no table, and no word of drift."""
    assert section(made_up_history(0)) == "## History\n\nThe history has no night yet."


@pytest.mark.parametrize(
    ("nights", "said"),
    [(1, "1 night of 2026-01-02:"), (2, "2 nights from 2026-01-02 to 2026-01-03:")],
)
def test_few_nights(nights: int, said: str) -> None:
    """One night and two have their rows, and it is said that drift is not tested yet."""
    text = section(made_up_history(nights), find_drifts(made_up_history(nights)))
    assert said in text
    assert len(rows_of(text)) == nights
    assert "**No test for drift yet:** it needs more than 10 nights of two seeds or more." in text
    assert "CUSUM" not in text


def test_not_tested_against_a_baseline() -> None:
    """A baseline newer than all nights is said to be what is in the way."""
    baseline = made_up_baseline(100).assign(night=FIRST + pd.Timedelta(days=9))
    text = section(made_up_history(2), find_drifts(made_up_history(2), baseline))
    assert "it needs a night of two seeds or more that is later than the baseline." in text


def test_rows() -> None:
    """Every cell is what the night's rows say, the newest night first."""
    history = made_up_history(3, backends=("nn", "cell"))
    last = history["night"] == FIRST + pd.Timedelta(days=2)
    history.loc[last, "verdict"] = "regressed"
    history.loc[last, "torch_version"] = "2.14.0"
    history.loc[last & (history["backend"] == "cell"), ["seeds", "diverged"]] = [23, 2]
    rows = rows_of(section(history))
    assert rows[0] == [
        "2026-01-04 03:04", "regressed", "torch 2.14.0", "23 to 25", "2", "a processor", "2.14.0",
        "ccccccc",
    ]  # fmt: skip
    assert rows[1] == [
        "2026-01-03 03:04", "agrees", "", "25", "0", "a processor", "2.13.0", "ccccccc",
    ]  # fmt: skip
    assert rows[2][0] == "2026-01-02 03:04"


def test_missing_cells() -> None:
    """A night without a commit or without a seed shows a dash and a nought."""
    history = made_up_history(1).assign(commit=None, seeds=0, accuracy_mean=np.nan)
    assert rows_of(section(history))[0][3:8:4] == ["0", "-"]


def test_the_last_nights() -> None:
    """Of a long history the last nights are shown, and how many there are is said."""
    text = section(made_up_history(100))
    rows = rows_of(text)
    assert len(rows) == NIGHTS_SHOWN
    assert rows[0][0].startswith("2026-04-11")
    assert "100 nights from 2026-01-02 to 2026-04-11; the last 14:" in text


def test_no_drift() -> None:
    """Where nothing drifts, it is said of how much, and how it was tested."""
    history = made_up_history(30, backends=("nn", "cell"))
    test = find_drifts(history, made_up_baseline(100, ("nn", "cell")))
    text = section(history, test)
    assert "**No drift** is found in 5 columns (every backend's final accuracy, " in text
    assert "throughput) over 30 nights." in text
    assert f"threshold {test.threshold:.2f})" in text
    assert "in 1095 nights" in text
    assert "at 95% confidence" in text


def test_drift_in_words() -> None:
    """A drift is told with its numbers: from what to what, since when, how far, flagged when."""
    history = made_up_history(40, drift=1.0, drift_from=20)
    test = find_drifts(history, made_up_baseline(100))
    accuracy, loss = test.drifts
    lines = [line for line in section(history, test).splitlines() if line.startswith("- ")]
    assert len(lines) == 2
    assert lines[0] == (
        f"- Model5 nn: accuracy has fallen, from 0.8000 to {accuracy.mean:.4f} on average since "
        f"{accuracy.since:%Y-%m-%d}, commit ccccccc (worse, with an average rank score of "
        f"{accuracy.score:+.1f}). "
        f"It was flagged first on {accuracy.flagged[0]:%Y-%m-%d}, and still is on the last night."
    )
    assert lines[1].startswith(
        f"- Model5 nn: validation loss has risen, from 1.0000 to {loss.mean:.4f}"
    )
    assert "(worse, with" in lines[1]


def test_drift_of_throughput_in_words() -> None:
    """A slower backend is told with its change point and the commits around it."""
    history = made_up_history(60, backends=("nn", "cell"))
    late = history["night"] >= FIRST + pd.Timedelta(days=40)
    history.loc[late & (history["backend"] == "cell"), "throughput_ratio"] *= 0.9
    history.loc[late, "commit"] = "d" * 40
    test = find_drifts(history, made_up_baseline(100, ("nn", "cell")))
    (line,) = [line for line in section(history, test).splitlines() if line.startswith("- ")]
    assert line.startswith(
        "- Model5 cell: throughput (ratio to the reference backend) has fallen, from 0.8"
    )
    assert "since 2026-02-11, commit ddddddd after ccccccc (worse, " in line


def test_a_drift_that_has_gone() -> None:
    """An improvement that is over is told as better, with its end."""
    history = made_up_history(40, seeds=100)
    up = history["night"] < FIRST + pd.Timedelta(days=10)
    better = summary(0, np.array([even(100) + 1.5, even(100)]), start=0)
    history.loc[up, "final_values"] = better["final_values"]
    test = find_drifts(history, made_up_baseline(1000))
    (drift,) = test.drifts
    text = section(history, test)
    assert "accuracy has risen" in text
    assert f"until {drift.flagged[-1]:%Y-%m-%d} (better, with" in text
    assert "and no longer is." in text


def test_unreadable_files() -> None:
    """Files that cannot be read are named with the reason, even where no other is left."""
    for nights in (0, 2):
        text = history_section(made_up_history(nights), {"x|y.parquet": "<cut>"}, NO_TEST, {})
        assert "- x&#124;y.parquet: &lt;cut&gt;" in text


def test_data_is_no_markup() -> None:
    """What comes from the folder is shown as it is, and makes neither markup nor columns."""
    injected = "<script>|</script>"
    history = made_up_history(2)
    for column in ("verdict", "device_name", "torch_version", "commit"):
        history.loc[1, column] = injected
    text = section(history)
    assert "<script>" not in text
    assert all(len(row) == 8 for row in rows_of(text))


def test_pictures() -> None:
    """The pictures follow in the order in which they are named."""
    pictures = {"Model4": "trend-Model4.png", "Model5": "trend-Model5.png"}
    text = history_section(made_up_history(2), {}, NO_TEST, pictures)
    assert text.endswith(
        "![Model4: trend by night](trend-Model4.png)\n\n![Model5: trend by night](trend-Model5.png)"
    )
