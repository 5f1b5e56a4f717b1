"""The history of nights: summaries, their files, and what changed between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import StoreError
from bench.store.parquet import write_file
from bench.store.records import FAILED
from bench.store.store import Contents
from hnrnn.variants import VARIANTS
from reports.history import nights as history
from reports.history.nights import SCHEMA, append, changes, moments, read, summarise, values_of
from reports.runs.night import Night
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import Judgement, judge
from tests.history_data import FIRST, made_up_history
from tests.made_up import START, throughput_rows
from tests.made_up import notebook_night as night


@pytest.fixture(scope="module")
def contents() -> Contents:
    """A night of five seeds of every variant, with a measurement of Model4's throughput."""
    samples = throughput_rows({"nn": 2.0, "custom": 4.0, "compiled": 1.0})
    samples.loc[samples["aa_control"].astype(bool), "wall_seconds"] *= 3
    return night(5, samples=samples)


@pytest.fixture(scope="module")
def judgement(contents: Contents) -> Judgement:
    """What is said of that night."""
    return judge(Evidence.of(contents))


@pytest.fixture(scope="module")
def summary(contents: Contents, judgement: Judgement) -> pd.DataFrame:
    """That night's summary."""
    return summarise(Night.of(contents), judgement)


def test_moments_by_hand() -> None:
    """Means and sample deviations of finite runs; the diverged are counted apart."""
    grid = pd.DataFrame(
        {
            "variant": "Model3",
            "backend": "custom",
            "seed": [0, 1, 2, 7],
            "accuracy": [0.5, 0.6, 0.7, 0.1],
            "valid_loss": [1.0, 2.0, 4.5, np.nan],
            "started_at": [START] * 4,
        }
    )
    row = moments(grid).iloc[0]
    assert (row["seeds"], row["seed_ranges"], row["diverged"]) == (3, "0-2", 1)
    assert row["accuracy_mean"] == pytest.approx(0.6)
    assert row["accuracy_sd"] == pytest.approx(0.1)
    assert row["valid_loss_mean"] == pytest.approx(2.5)
    assert row["valid_loss_sd"] == pytest.approx(3.25**0.5)
    assert row["final_values"] == "0 0.5 1 1 0.6 2 2 0.7 4.5"
    assert values_of(row["final_values"]).tolist() == [[0, 0.5, 1], [1, 0.6, 2], [2, 0.7, 4.5]]
    single = moments(grid[:1]).iloc[0]
    assert single["seeds"] == 1
    assert np.isnan(single["accuracy_sd"])


def test_summary(summary: pd.DataFrame, contents: Contents, judgement: Judgement) -> None:
    """One row per configuration, timed ones without runs too, from the night's own records."""
    assert list(summary.columns) == SCHEMA.names
    own = {(variant.name, variant.backend) for variant in VARIANTS.values()}
    configurations = set(zip(summary["variant"], summary["backend"], strict=True))
    assert configurations == own | {("Model4", "custom"), ("Model4", "compiled")}
    assert len(summary) == len(configurations)
    assert (summary["night"] == START).all()
    assert (summary["verdict"] == judgement.verdict).all()
    assert (summary["torch_version"] == "2.13.0").all()
    assert summary["driver_version"].isna().all()
    by_configuration = summary.set_index(["variant", "backend"])
    last = contents.epochs[contents.epochs["epoch"] == VARIANTS["Model5"].epochs - 1]
    values = last.loc[last["variant"] == "Model5", "accuracy"].to_numpy()
    row = by_configuration.loc["Model5", "nn"]
    assert (row["seeds"], row["seed_ranges"], row["diverged"]) == (5, "0-4", 0)
    assert row["accuracy_mean"] == pytest.approx(sum(values) / 5)
    assert row["accuracy_sd"] == pytest.approx(np.std(values, ddof=1))
    assert np.isnan(row["throughput_ratio"])


def test_throughput_of_the_night(summary: pd.DataFrame) -> None:
    """The ratio is that of the training step to nn, with its interval, and no aa_control's."""
    rows = summary[summary["variant"] == "Model4"].set_index("backend")
    assert rows["throughput_ratio"].to_dict() == pytest.approx(
        {"compiled": 2.0, "custom": 0.5, "nn": 1.0}
    )
    assert rows.loc["custom", "throughput_ratio_low"] == pytest.approx(0.5)
    assert rows.loc["custom", "throughput_ratio_high"] == pytest.approx(0.5)
    assert rows.loc["compiled", "seeds"] == 0
    assert np.isnan(rows.loc["compiled", "accuracy_mean"])


def test_the_reference_beside_the_workload(contents: Contents, judgement: Judgement) -> None:
    """The reference's row has its ratio to the calibration workload, and the version of that."""
    timed = throughput_rows({"nn": 2.0, "custom": 4.0, "calibration": 3.0})
    rows = summarise(Night.of(replace(contents, throughput=timed)), judgement)
    known = rows.set_index(["variant", "backend"])[["calibration_ratio", "calibration_version"]]
    assert known.dropna().to_dict("index") == {
        ("Model4", "nn"): {
            "calibration_ratio": pytest.approx(1.5),
            "calibration_version": "calibration workload 1",
        }
    }
    assert ("Model4", "calibration") not in known.index


def test_throughput_of_another_device(contents: Contents, judgement: Judgement) -> None:
    """A measurement on a device that trained nothing is not of this night's history."""
    elsewhere = contents.throughput.assign(device_name="a GPU")
    rows = summarise(Night.of(replace(contents, throughput=elsewhere)), judgement)
    assert rows["throughput_ratio"].isna().all()
    assert len(rows) == len(VARIANTS)


def test_throughput_alone(contents: Contents, judgement: Judgement) -> None:
    """A folder that holds a measurement and no runs is a night too."""
    alone = Contents(contents.runs[:0], contents.epochs[:0], contents.throughput, {})
    rows = summarise(Night.of(alone), replace(judgement, configurations=()))
    assert sorted(rows["backend"]) == ["compiled", "custom", "nn"]
    assert (rows["seeds"] == 0).all()
    assert (rows["device_name"] == "a processor").all()


def test_failed_configuration(contents: Contents, judgement: Judgement) -> None:
    """A configuration whose runs all failed keeps its row, without values."""
    runs = contents.runs.copy()
    runs.loc[runs["variant"] == "Model5", "status"] = FAILED
    rows = summarise(Night.of(replace(contents, runs=runs)), judgement)
    row = rows[rows["variant"] == "Model5"].iloc[0]
    assert row["seeds"] == 0
    assert np.isnan(row["accuracy_mean"])


def test_nothing(contents: Contents, judgement: Judgement, tmp_path: Path) -> None:
    """A night in which every run failed has no rows, and cannot be appended."""
    failed = contents.runs.assign(status=FAILED)
    selection = Night.of(replace(contents, runs=failed, throughput=contents.throughput[:0]))
    rows = summarise(selection, judgement)
    assert rows.empty
    with pytest.raises(ValueError, match="one night, not of 0"):
        append(tmp_path, rows)


def test_mixed_commits(contents: Contents, judgement: Judgement) -> None:
    """Where the runs differ in what a night may be mixed of, all values are kept."""
    runs = contents.runs.copy()
    runs.loc[runs.index[::2], "commit"] = "d" * 40
    rows = summarise(Night.of(replace(contents, runs=runs)), judgement)
    assert set(rows["commit"]) == {"c" * 40 + "; " + "d" * 40}


def test_append_and_read(summary: pd.DataFrame, tmp_path: Path) -> None:
    """What is read is what was appended, types and version included."""
    path = append(tmp_path / "new" / "history", summary)
    got, unreadable = read(path.parent)
    pd.testing.assert_frame_equal(got, summary.sort_values(["variant", "backend"]), check_like=True)
    assert unreadable == {}
    assert pq.read_schema(path).metadata[b"schema_version"] == b"4"
    assert path.name.startswith("20260102T030400Z-")


def test_the_same_night_twice(summary: pd.DataFrame, tmp_path: Path) -> None:
    """Appending a night again, its rows in another order, adds nothing."""
    first = append(tmp_path, summary)
    assert append(tmp_path, summary[::-1]) == first
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_one_summary_a_night(tmp_path: Path) -> None:
    """Of one night's summaries, that of most seeds is read, then one with a verdict not open."""
    rows = made_up_history(1)
    fewer = " ".join(rows["final_values"][0].split()[:30])
    append(tmp_path, rows.assign(seeds=10, final_values=fewer, verdict="regressed"))
    append(tmp_path, rows.assign(verdict="inconclusive"))
    append(tmp_path, rows.assign(verdict="agrees"))
    append(tmp_path, rows.assign(verdict="incomplete"))
    got, _ = read(tmp_path)
    assert got[["seeds", "verdict"]].to_numpy().tolist() == [[25, "agrees"]]
    append(tmp_path, made_up_history(1, seeds=30).assign(verdict="inconclusive"))
    got, _ = read(tmp_path)
    assert got[["seeds", "verdict"]].to_numpy().tolist() == [[30, "inconclusive"]]


def test_order(tmp_path: Path) -> None:
    """Nights are read oldest first, in whatever order they were appended."""
    nights = made_up_history(3, backends=("nn", "cell"))
    for start in (2, 0, 1):
        append(tmp_path, nights[nights["night"] == FIRST + pd.Timedelta(days=start)])
    got, _ = read(tmp_path)
    assert got["night"].is_monotonic_increasing
    assert list(got["backend"]) == ["cell", "nn"] * 3


@pytest.mark.parametrize("keep", [0, 3, 0.5, -1])
def test_truncated(tmp_path: Path, keep: float) -> None:
    """A file that was cut is named with the reason, and the other nights are read."""
    nights = made_up_history(2)
    whole, cut = (append(tmp_path, nights[nights["night"] == night]) for night in nights["night"])
    content = cut.read_bytes()
    length = int(len(content) * keep) if isinstance(keep, float) else keep
    cut.write_bytes(content[:length])
    got, unreadable = read(tmp_path)
    assert list(unreadable) == [cut.name]
    assert unreadable[cut.name]
    assert list(got["night"]) == [FIRST]
    assert whole.exists()


WORKLOAD = ["calibration_ratio", "calibration_version"]


@pytest.mark.parametrize(
    ("version", "lacks"),
    [(1, ["gates", "final_values", *WORKLOAD]), (2, ["final_values", *WORKLOAD]), (3, WORKLOAD)],
)
def test_older_files(version: int, lacks: list[str], tmp_path: Path) -> None:
    """A file from before these columns were kept is read, without them."""
    metadata = {b"schema_version": str(version).encode()}
    older = pa.schema([field for field in SCHEMA if field.name not in lacks], metadata)
    rows = pa.Table.from_pandas(made_up_history(1), schema=older, preserve_index=False)
    write_file(tmp_path / "old.parquet", rows.replace_schema_metadata(metadata))
    got, unreadable = read(tmp_path)
    assert unreadable == {}
    assert got[lacks].isna().to_numpy().tolist() == [[True] * len(lacks)]


@pytest.mark.parametrize(
    "text", ["", "0 0.5", "0 0.5 nan", "0 0.5 1.5 0 0.5 1.5", "<script>", "0 0.5 1.5 1 1e999 1.5"]
)
def test_impossible_values(text: str, tmp_path: Path) -> None:
    """A file whose final values are not one pair of numbers for each seed is named."""
    path = append(tmp_path, made_up_history(1).assign(seeds=2, final_values=text))
    got, unreadable = read(tmp_path)
    assert got.empty
    assert unreadable == {
        path.name: "its final values are not three finite numbers for each of its seeds"
    }


def test_newer_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a newer schema is refused, and told as one."""
    newer = SCHEMA.with_metadata({b"schema_version": b"5"})
    with monkeypatch.context() as patched:
        patched.setattr(history, "SCHEMA", newer)
        path = append(tmp_path, made_up_history(1))
    got, unreadable = read(tmp_path)
    assert got.empty
    assert "schema version 5 is newer than 4" in unreadable[path.name]


def test_no_folder(tmp_path: Path) -> None:
    """No folder, or an empty one, is a history without nights, with all columns."""
    for folder in (tmp_path / "nowhere", tmp_path):
        got, unreadable = read(folder)
        assert (list(got.columns), len(got), unreadable) == (SCHEMA.names, 0, {})


def test_folder_is_a_file(tmp_path: Path) -> None:
    """A history folder that is a file is refused with what to do."""
    (tmp_path / "history").write_text("")
    with pytest.raises(StoreError, match="name one that you may write to"):
        append(tmp_path / "history", made_up_history(1))


def test_changes() -> None:
    """A changed torch, a device that appears and the code are named on the night they are new."""
    nights = made_up_history(4, backends=("nn", "cell"))
    later = nights["night"] >= FIRST + pd.Timedelta(days=2)
    nights.loc[later, "torch_version"] = "2.14.0"
    nights.loc[later, "cuda_version"] = "12.8"
    nights.loc[nights["night"] == FIRST + pd.Timedelta(days=3), "source_sha256"] = "0123456789" * 6
    found = changes(nights)
    assert [change.night for change in found] == [FIRST + pd.Timedelta(days=day) for day in (2, 3)]
    assert [change.label for change in found] == [
        "CUDA 12.8, torch 2.14.0",
        "training code 0123456",
    ]
    assert [change.night for change in changes(nights, ["torch_version"])] == [found[0].night]
    assert changes(nights[:2]) == changes(nights[:0]) == []
