"""``python -m reports judge``: files are read, their tables judged, and a page is written."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from hnrnn.published import MEASURES
from reports.__main__ import main
from reports.api import judge, published_table, seed_distribution


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with three CSV files: a table of Model4, none, and one too long."""
    monkeypatch.chdir(tmp_path)
    columns = ["epoch", *MEASURES]
    seeds = seed_distribution("Model4", "uniform")
    own = seeds[seeds["seed"] == 3][columns]
    own.round(6).to_csv("own.csv", index=False)
    longer = pd.concat([own, own.assign(epoch=own["epoch"] + 20)])
    longer.round(6).to_csv("longer.csv", index=False)
    Path("empty.csv").write_text("name,value\na,1\n")
    Path("damaged.ipynb").write_text('{"cells": [')
    return tmp_path


@pytest.mark.usefixtures("here")
def test_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    """A table is judged as from Python; its p-values are no failure."""
    assert main(["judge", "own.csv", "--variant", "Model4"]) == 0
    output = capsys.readouterr()
    seeds = seed_distribution("Model4", "uniform")
    expected = judge(seeds[seeds["seed"] == 3], "Model4")
    assert expected.start == "uniform"
    for line in expected.lines():
        assert f"  {line}\n" in output.out
    assert "tables in" not in output.out
    assert output.err == ""


@pytest.mark.usefixtures("here")
def test_several_files(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read or judged is named, and the other files are judged all the same."""
    words = ["judge", "damaged.ipynb", "own.csv", "empty.csv", "missing.csv", "longer.csv"]
    assert main([*words, "--variant", "Model4"]) == 2
    output = capsys.readouterr()
    errors = output.err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("python -m reports judge: ") for line in errors)
    assert "damaged.ipynb" in errors[0]
    assert "missing.csv" in errors[1]
    assert "empty.csv\n  No training table found." in output.out
    assert re.search(r"longer\.csv.*\n  Not judged\. It ", output.out)
    assert "Model4, 20 epochs: like runs whose BatchNorm weights are drawn from" in output.out
    assert "2 tables in 3 files:\n    1 like runs with BatchNorm weights from U(0, 1)" in output.out


def test_a_part(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there of an interrupted or a diverged run is judged, if all else fits the variant."""
    rows = pd.read_csv("own.csv")
    rows.head(4).to_csv("part.csv", index=False)
    rows.loc[12:, ["train_loss", "valid_loss"]] = float("nan")
    rows.to_csv("diverged.csv", index=False, na_rep="nan")
    assert main(["judge", "part.csv", "diverged.csv", "--variant", "Model4"]) == 0
    part, diverged, counts = capsys.readouterr().out.split("\n\n")
    assert "Model4, epochs 0 to 3 of 20 only: like runs whose BatchNorm weights are drawn" in part
    assert "No p-value of a whole table" in part
    assert "Model4, 20 epochs: unlike our runs of either start" in diverged
    assert "valid_loss of epochs 12 to 19: not finite, the highest of all" in diverged
    assert counts.count("    1 ") == 2
    for words in (["--variant", "Model0"], []):  # other accuracies, and several variants
        assert main(["judge", "part.csv", *words]) == 0
        assert "part.csv\n  Not judged. It " in capsys.readouterr().out
    assert not list(here.glob("*.html"))


def test_page(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is one file with a figure; an existing file is not overwritten."""
    words = ["judge", "own.csv", "--variant", "Model4", "--html", "page.html"]
    assert main(words) == 0
    page = (here / "page.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') == 1
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "<title>Training tables, judged</title>" in page
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "--html must name a new file" in capsys.readouterr().err
    assert (here / "page.html").read_text(encoding="utf-8") == page


def test_a_page_that_cannot_be_written(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk is one line and the exit code 74; what was judged is printed before."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reports.commands.output.write_whole", refuse)
    assert main(["judge", "own.csv", "--variant", "Model4", "--html", "page.html"]) == 74
    output = capsys.readouterr()
    assert "among 256 seeds" in output.out
    assert "cannot write to . (No space left on device): free some space" in output.err
    assert not (here / "page.html").exists()


@pytest.mark.usefixtures("here")
def test_the_same_table_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV, markdown and HTML give the same judgement."""
    table = published_table("Model4")[["epoch", *MEASURES]]
    table.to_csv("t.csv", index=False)
    Path("t.html").write_text(table.to_html(index=False))
    lines = [" | ".join(f"{value}" for value in row) for row in table.to_numpy()]
    head = [" | ".join(table.columns), "|".join(["---"] * 4)]
    Path("t.md").write_text("\n".join(f"| {line} |" for line in [*head, *lines]) + "\n")
    said = []
    for name in ("t.csv", "t.html", "t.md"):
        assert main(["judge", name, "--variant", "Model4"]) == 0
        said.append(capsys.readouterr().out.split("Model4, 20 epochs", 1)[1])
    assert said[0] == said[1] == said[2]
    assert "These are the values of the notebook's own table: no new run." in said[0]
