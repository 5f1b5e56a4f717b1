"""Training tables are found in files of the forms that people have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.documents.document import read_tables
from tests.reports.documents import forms
from tests.reports.documents.forms import FORMS, Form, made_up


@pytest.mark.parametrize("form", FORMS.values(), ids=[*FORMS])
def test_form(form: Form, tmp_path: Path) -> None:
    """One table is found, and every value in it; a column that is not there is NaN."""
    table = made_up()
    path = tmp_path / f"run{form.suffix}"
    path.write_bytes(form.make(table).encode(form.encoding))
    (found,) = read_tables(path)
    expected = table.assign(**{form.lost: np.nan}) if form.lost else table
    pd.testing.assert_frame_equal(found.rows, expected)


def test_same_table_in_every_form(tmp_path: Path) -> None:
    """A notebook of either format, a page, markdown and CSV give the same rows, to the last bit."""
    names = ("fastai 1, in a notebook", "nbformat 3", "an exported page", "a markdown page", "CSV")
    found = []
    for place, name in enumerate(names):
        path = tmp_path / f"{place}{FORMS[name].suffix}"
        path.write_text(FORMS[name].make(made_up()), encoding="utf-8")
        found += read_tables(path)
    assert [table.rows.equals(made_up()) for table in found] == [True] * len(names)


@pytest.mark.parametrize("word", ["nan", "NaN", "#na#", "None", ""])
def test_missing_values(word: str, tmp_path: Path) -> None:
    """A value that was not computed is NaN, in whatever way it is written."""
    table = made_up()
    first = f"{table['valid_loss'][0]:.6f}"
    (tmp_path / "run.csv").write_text(forms.csv(table).replace(first, word), encoding="utf-8")
    (tmp_path / "run.html").write_text(forms.html(table).replace(first, word), encoding="utf-8")
    for name in ("run.csv", "run.html"):
        (found,) = read_tables(tmp_path / name)
        assert np.isnan(found.rows["valid_loss"][0])
        assert found.rows.drop(columns="valid_loss").equals(table.drop(columns="valid_loss"))


def test_interrupted(tmp_path: Path) -> None:
    """A fit that was stopped leaves the epochs that it finished."""
    left = forms.second_html(made_up().head(3), "37.50% [3/8 00:05&lt;00:08 1.2345]")
    (tmp_path / "run.ipynb").write_text(forms.in_cell(forms.shown(left)), encoding="utf-8")
    (found,) = read_tables(tmp_path / "run.ipynb")
    assert found.rows.equals(made_up().head(3))


def test_two_tables_in_one_output(tmp_path: Path) -> None:
    """Both are found, and the place of each is named."""
    both = forms.html(made_up()) + forms.html(made_up(seed=8))
    together = forms.in_cell(forms.shown(both))
    (tmp_path / "runs.ipynb").write_text(together, encoding="utf-8")
    (tmp_path / "runs.txt").write_text(
        forms.text(made_up()) + forms.text(made_up(seed=8)), encoding="utf-8"
    )
    found = read_tables(tmp_path / "runs.ipynb")
    assert [table.source for table in found] == [
        "runs.ipynb, cell 2, table 1 of 2",
        "runs.ipynb, cell 2, table 2 of 2",
    ]
    assert [table.rows["accuracy"][9] for table in found] == [
        made_up(seed=seed)["accuracy"][9] for seed in (7, 8)
    ]
    assert [table.source for table in read_tables(tmp_path / "runs.txt")] == [
        "runs.txt, table 1 of 2",
        "runs.txt, table 2 of 2",
    ]


def test_epochs_start_over(tmp_path: Path) -> None:
    """Rows below one header are two tables if the epochs start over."""
    again = "".join(forms.csv(made_up(seed=8)).splitlines(keepends=True)[1:])
    (tmp_path / "run.csv").write_text(forms.csv(made_up()) + again, encoding="utf-8")
    found = read_tables(tmp_path / "run.csv")
    assert [len(table.rows) for table in found] == [10, 10]
    assert found[1].rows.equals(made_up(seed=8))


def test_runs_of_a_table(tmp_path: Path) -> None:
    """A CSV of many runs has a table for each, with the name of its model, in any order of rows."""
    runs = pd.concat(
        made_up(variant, seed).assign(model=variant, run=seed)
        for variant in ("Model0", "Model5")
        for seed in (1, 2)
    )
    runs.sort_values("epoch", kind="stable").to_csv(tmp_path / "runs.csv", index=False)
    found = read_tables(tmp_path / "runs.csv")
    assert [table.source for table in found] == [
        "runs.csv, Model0, table 1 of 4",
        "runs.csv, Model0, table 2 of 4",
        "runs.csv, Model5, table 3 of 4",
        "runs.csv, Model5, table 4 of 4",
    ]
    assert found[3].rows.equals(made_up("Model5", 2))


def test_no_training_table(tmp_path: Path) -> None:
    """Other tables and prose are no training tables, and a file without one is no error."""
    for name, content in {
        "a.csv": "epoch,loss,val_loss\n0,1.0,2.0\n",
        "b.html": "<p>The train_loss and the valid_loss of an epoch fell.</p><table></table>",
        "c.ipynb": forms.notebook(("1 + 1", [forms.shown("2", "text/plain")])),
        "d.txt": "",
        "e.csv": "epoch,train_loss,valid_loss\nall,of,text\n",
        "f.md": "The epoch's train_loss, valid_loss:\n\n1. one\n2. two\n",
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert read_tables(tmp_path / name) == [], name
