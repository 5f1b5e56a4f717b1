"""``python -m reports render``: from a store to a page and its pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.store.records import DIVERGED, ENSEMBLE, FAILED, Record
from bench.store.store import Store
from hnrnn import published
from hnrnn.variants import VARIANTS
from reports.__main__ import main
from tests.command_line import exit_code
from tests.made_up import made_up_record, stored, with_outcome


def render(folder: Path, records: Sequence[Record], output: Path | None = None) -> str:
    """Store the records, render them, and return the report."""
    stored(folder, records)
    arguments = [] if output is None else ["--output", str(output)]
    (folder / "findings.toml").touch()  # none: what is made up is not Model2's rare table
    arguments += ["--findings", str(folder / "findings.toml")]
    assert main(["render", "--results", str(folder), *arguments]) == 0
    return ((output or folder / "report") / "report.md").read_text(encoding="utf-8")


def tables_of(report: str, place: int = 0) -> dict[str, list[list[str]]]:
    """Return the rows of the first (or a later) table under every heading, header rows left out."""
    tables: dict[str, list[list[str]]] = {}
    for section in re.split(r"^#+ ", report, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        found = re.findall(r"(?:^\| .*\n)+", text, flags=re.MULTILINE)
        if len(found) > place:
            lines = found[place].splitlines()[2:]
            tables[heading] = [[c.strip() for c in line.strip("|").split(" | ")] for line in lines]
    return tables


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five made-up seeds of all eight variants."""
    return [made_up_record(name, seed) for name in VARIANTS for seed in range(5)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    """The folder of their report, with its pictures."""
    folder = tmp_path_factory.mktemp("drawn")
    render(folder, records)
    return folder / "report"


@pytest.mark.usefixtures("blank_pictures")
def test_first_screen(tmp_path: Path, records: list[Record]) -> None:
    """The first screen has the counts, the final rows and the provenance."""
    report = render(tmp_path, records)
    verdict, _, _, opening, gates = report.split("\n\n")[1:6]
    assert verdict.startswith("**Inconclusive.** Too few seeds to reject any of the tables")
    assert gates.startswith(
        "**Gates.** Passed: complete data. Not run: same computation (40 runs: "
    )
    assert "40 runs of all eight models, 5 seeds each." in opening
    out = int(re.search(r"counterpart here, (\d+) \(", opening).group(1))  # type: ignore[union-attr]
    epochs = pd.read_parquet(tmp_path / "epochs")
    expected = 0
    for row in published.tables().to_dict(orient="records"):
        of_row = epochs[(epochs["variant"] == row["model"]) & (epochs["epoch"] == row["epoch"])]
        for measure in published.MEASURES:
            low, high = np.percentile(of_row[measure], [2.5, 97.5])
            expected += not low <= row[measure] <= high
    assert out == expected
    summary = tables_of(report)["The human-numbers notebook, reproduced"]
    assert [row[0] for row in summary] == [f"[{name}](#{name.lower()})" for name in VARIANTS]
    assert summary[5][1:5] == ["inconclusive", "no reference", *summary[5][3:4], "0.7947"]
    provenance = dict(tables_of(report)["Provenance"])
    assert provenance["commit"] == "c" * 40
    assert provenance["first run started"] == "2026-01-02 03:04 UTC"


def test_pictures(drawn: Path) -> None:
    """Every picture of the report exists, has a light background and is not empty."""
    report = (drawn / "report.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[.*?\]\((.*?)\)", report)
    assert sorted(names) == sorted(["overview.png", *(f"{name}.png" for name in VARIANTS)])
    for name in names:
        pixels = np.asarray(Image.open(drawn / name).convert("L"))
        assert pixels.shape[1] > 1000
        assert (pixels > 240).mean() > 0.5
        assert (pixels < 200).mean() > 0.01


@pytest.mark.usefixtures("blank_pictures")
def test_an_ensemble_says_whose_seconds_they_are(
    tmp_path: Path, records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    """The page, the summary and check say whose seconds are shown and which runs are left out."""
    left_out = "Left out: 1 run with other settings: dtype float64."
    double = made_up_record("Model0", 0, dtype="float64")
    said = "seconds of an epoch are one seed's share"
    ensemble = [made_up_record(n, seed, backend=ENSEMBLE) for n in VARIANTS for seed in range(6)]
    assert said not in render(tmp_path / "alone", records)
    assert left_out not in (tmp_path / "alone" / "report" / "summary.md").read_text("utf-8")
    report = render(tmp_path / "both", [*records, *ensemble, double])
    assert said in report
    assert left_out in report
    assert left_out in (tmp_path / "both" / "report" / "summary.md").read_text("utf-8")
    capsys.readouterr()
    main(["check", "--results", str(tmp_path / "both")])
    assert left_out in capsys.readouterr().err


def test_same_data_same_bytes(drawn: Path, tmp_path: Path, records: list[Record]) -> None:
    """Rendering twice gives the same bytes, whatever the order in which files were written."""
    render(tmp_path / "store", records[::-1], tmp_path / "second")
    first = sorted(drawn.iterdir())
    assert len(first) == 12
    for path in first:
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


@pytest.mark.usefixtures("blank_pictures")
def test_both_starts(tmp_path: Path, records: list[Record]) -> None:
    """Runs with drawn BatchNorm weights appear in a picture of their own and nowhere else."""
    drawn = [
        replace(
            record,
            run_id=f"{record.run_id}u",
            run=replace(record.run, initialisation="uniform"),
            epochs=tuple(replace(epoch, run_id=f"{record.run_id}u") for epoch in record.epochs),
        )
        for record in records
        if record.run.seed < 3
    ]
    report = render(tmp_path / "both", [*records, *drawn])
    assert "3 seeds or more per model start the old way" in report
    assert (tmp_path / "both" / "report" / "eras.png").exists()
    alone = render(tmp_path / "alone", records)
    assert "Two eras" not in alone
    assert tables_of(report)["Model5"] == tables_of(alone)["Model5"]


@pytest.mark.usefixtures("blank_pictures")
def test_no_runs(tmp_path: Path) -> None:
    """An empty store gives the notebook's tables and says how to make runs."""
    report = render(tmp_path, [])
    assert "There are no finished runs to show: `python -m bench run` makes some." in report
    assert tables_of(report)["Model5"][9][1:3] == ["0.017021", "-"]
    assert tables_of(report, 1)["Model5"][9] == ["9", *["-"] * 6]


@pytest.mark.usefixtures("blank_pictures")
def test_one_seed_one_variant_one_epoch(tmp_path: Path) -> None:
    """A smoke run is rendered, and the page says what is missing."""
    report = render(tmp_path, [made_up_record("Model5", 0, epochs=1)])
    assert "The tables rest on 1 run of 1 of the notebook's 8 models, 1 seed each." in report
    assert "There are no runs of Model0, Model1," in report
    rows = tables_of(report)["Model5"]
    assert rows[0][2] != "-"
    assert rows[1][2] == "-"


@pytest.mark.usefixtures("blank_pictures")
def test_failed_and_diverged(tmp_path: Path) -> None:
    """A night with a failed and a diverged run is rendered, and both are named."""
    diverged = with_outcome(made_up_record("Model5", 1), DIVERGED)
    epochs = [*diverged.epochs]
    last = epochs[-1]
    epochs[-1] = type(last)(**{**last.__dict__, "valid_loss": float("nan")})
    records = [
        made_up_record("Model5", 0),
        type(diverged)(**{**diverged.__dict__, "epochs": tuple(epochs)}),
        with_outcome(made_up_record("Model5", 2), FAILED, "RuntimeError: <b>|injected|</b>"),
    ]
    report = render(tmp_path, records)
    assert "Model5 nn seed 1 diverged" in report
    assert "RuntimeError: &lt;b&gt;&#124;injected&#124;&lt;/b&gt;" in report
    assert tables_of(report, 1)["Model5"][9][4].endswith("of 3")


@pytest.mark.usefixtures("blank_pictures")
def test_no_link_leads_nowhere(tmp_path: Path) -> None:
    """The summary links to no section of the report, because a job's page shows it alone."""
    render(tmp_path, [])
    assert "](#model0)" in (tmp_path / "report" / "report.md").read_text("utf-8")
    summary = (tmp_path / "report" / "summary.md").read_text("utf-8")
    assert "| Model0 |" in summary
    assert "](" not in summary


@pytest.mark.usefixtures("blank_pictures")
def test_every_output_is_replaced_whole(tmp_path: Path) -> None:
    """Every output, even a FIFO, is replaced as a whole and never written in place."""
    render(tmp_path, [])
    assert main(["check", "--results", str(tmp_path)]) == 3
    report, before = tmp_path / "report", tmp_path / "before"
    before.mkdir()
    names = {path.name for path in report.iterdir()}
    assert names >= {"verdict.json", "verdict.md", "verdict.xml", "summary.md", "overview.png"}
    for name in names:
        (report / name).write_text("old")
        (before / name).hardlink_to(report / name)
    (report / "verdict.md").unlink()
    os.mkfifo(report / "verdict.md")
    render(tmp_path, [])
    assert main(["check", "--results", str(tmp_path)]) == 3
    assert {path.name for path in report.iterdir()} == names
    for name in names:
        assert (before / name).read_text() == "old"
        assert (report / name).is_file()
        assert (report / name).read_bytes() != b"old"


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no store, or an output that is a file, is one line and exit code 2."""
    assert main(["render", "--results", str(tmp_path / "none")]) == 2
    assert "python -m bench run" in capsys.readouterr().err
    Store(tmp_path / "results").prepare()
    file = tmp_path / "file"
    file.touch()
    command = ["render", "--results", str(tmp_path / "results"), "--output", str(file)]
    assert exit_code(main, command) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"--output must name a folder: {file} is a file" in error
