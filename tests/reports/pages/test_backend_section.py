"""The report's section on backends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from bench.store.records import Record
from bench.store.store import Store
from hnrnn import published
from reports.__main__ import main
from reports.figures import models
from reports.pages import backend_section
from reports.runs.ratios import ratios
from reports.runs.selection import select
from tests.made_up import contents_of, made_up_record, throughput_rows


def section(records: list[Record], samples: pd.DataFrame) -> str:
    """Return the section on these records and samples."""
    selection = select(replace(contents_of(records), throughput=samples))
    return backend_section.section(selection, published.tables())


def on_backend(record: Record, backend: str, moved: float) -> Record:
    """Return the record as of another backend, its accuracies moved."""
    run_id = f"{record.run_id}{backend}"
    epochs = tuple(
        replace(epoch, run_id=run_id, backend=backend, accuracy=epoch.accuracy + moved)
        for epoch in record.epochs
    )
    run = replace(record.run, backend=backend)
    return replace(record, run_id=run_id, run=run, epochs=epochs)


def test_nothing_measured() -> None:
    """Without a measurement the section says how to make one."""
    text = section([], throughput_rows({"nn": 1.0}).iloc[:0])
    assert "`python -m bench throughput` measures it" in text
    assert "Not yet measured on a GPU" in text
    assert "two seeds or more" in text
    assert "backends.png" not in text


def test_table() -> None:
    """Each configuration has a line with its measurement, or the reason why it was skipped."""
    samples = throughput_rows({"nn": 2.0, "custom": 4.0, "compiled": 1.0})
    text = section([], samples)
    lines = [line for line in text.splitlines() if line.startswith("| Model4")]
    assert [line.split(" | ")[1] for line in lines] == [
        "nn",
        "nn (A/A control)",
        "custom",
        "compiled",
    ]
    cells = lines[3].strip("| ").split(" | ")
    assert cells[2:5] == ["2.00 (2.00 to 2.00)"] * 3
    assert cells[5:7] == ["3.00", "426,667"]
    assert cells[7:9] == ["15.0", "3.0"]  # the step's compilation and the validation's
    assert cells[9:] == ["1e-15", "2e-06", "ATen"]
    assert "- graphed (Model4): skipped, graphed needs a GPU: a CPU has no CUDA graphs" in text


def test_the_reference_beside_the_calibration_workload() -> None:
    """The workload has a part of its own, with its version, and no row among the backends."""
    text = section([], throughput_rows({"nn": 2.0, "custom": 4.0, "calibration": 3.0}))
    assert "(calibration workload 1, 9.00 ms per step here)" in text
    assert "| Model4 | nn | 1.50 (1.50 to 1.50) | 1.50 (1.50 to 1.50) |" in text
    # 1280 tokens in 6 ms, and a step of the workload in 9 ms.
    assert " | 1920 |" in text
    assert "| Model4 | calibration |" not in text
    assert "calibration" not in section([], throughput_rows({"nn": 2.0}))


def test_gpu() -> None:
    """Each device has its own part; that of a GPU states TF32's effect."""
    here = throughput_rows({"nn": 2.0})
    gpu = throughput_rows({"nn": 0.2}, device="cuda", device_name="a <GPU>", measurement_id="g")
    gpu["parity_tf32"] = 3e-4
    text = section([], pd.concat([here, gpu], ignore_index=True))
    assert "### On a processor" in text
    assert "### On a &lt;GPU&gt;" in text
    assert "No run and no timing here allows TF32." in text
    assert "up to 3.0e-04 apart" in text
    assert "Not yet measured on a GPU" not in text


@pytest.mark.parametrize(("moved", "words"), [(0.0, "none has"), (-0.1, "Model5 on custom")])
def test_attribution(moved: float, words: str) -> None:
    """A backend is named if and only if it is worse."""
    records = [
        on_backend(made_up_record(model, seed), backend, moved if backend == "custom" else 0.0)
        for model in ("Model5", "Model6", "Model7")
        for seed in range(3)
        for backend in ("nn", "cell", "custom")
    ]
    text = section(records, throughput_rows({"nn": 1.0}))
    assert "A second layer changes the final accuracy by" in text
    assert words in text
    assert f"| Model7: custom - nn | {100 * moved:+.2f} |" in text
    assert "| Model5 - Model6 | +6.01 |" in text


def test_figure(tmp_path: Path) -> None:
    """If there is a measurement, render draws a picture with one panel per variant."""
    both = [
        throughput_rows({"nn": 2.0, "custom": 3.0}, variant=name) for name in ("Model4", "Model6")
    ]
    samples = pd.concat(both, ignore_index=True)
    figure = models.backends(ratios(samples))
    assert [axes.get_title() for axes in figure.axes] == ["Model4 (tanh)", "Model6 (gru)"]
    models.save(figure, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert min(picture.size) > 300


@pytest.mark.usefixtures("blank_pictures")
def test_rendered(tmp_path: Path) -> None:
    """A results folder with a measurement but no runs is rendered, with its picture."""
    samples = throughput_rows({"nn": 1.0, "custom": 2.0})
    Store(tmp_path).write_contents(replace(contents_of([]), throughput=samples))
    assert main(["render", "--results", str(tmp_path)]) == 0
    report = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "![Throughput of the backends as ratios](backends.png)" in report
    assert (tmp_path / "report" / "backends.png").exists()
