"""The notebook's published tables and facts, as data."""

from __future__ import annotations

from hnrnn import published


def test_tables() -> None:
    """There are 92 rows; spot values at the ends and middle are the notebook's."""
    tables = published.tables()
    assert len(tables) == 92
    rows = tables.set_index(["model", "epoch"])
    assert rows.loc[("Model0", 0), "train_loss"] == 3.508088
    assert rows.loc[("Model3", 19), "accuracy"] == 0.655966
    assert rows.loc[("Model5", 9), "valid_loss"] == 0.914783
    assert rows.loc[("Model7", 8), "accuracy"] == 0.76875
    assert rows.loc[("Model0", 0), "seconds"] == 5


def test_tables_are_copies() -> None:
    """Changing a returned table does not change the next one."""
    changed = published.tables()
    changed.loc[:, "accuracy"] = 0.0
    assert published.tables()["accuracy"].max() > 0.8


def test_facts_cover_the_cells() -> None:
    """Every output cell from 5 to 43 is there, and cell 48."""
    silent = {7, 15, 22, 39}
    cells = {fact.cell for fact in published.facts()}
    assert cells >= {*range(5, 44), 48} - silent
    keys = [(fact.cell, fact.key) for fact in published.facts()]
    assert len(set(keys)) == len(keys)
