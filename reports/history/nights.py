"""The history of nights: one immutable parquet file per night, with one row per configuration.

A file is named after the night's start and a hash of its content, so that appending the same night
twice adds nothing. ``pandas.read_parquet(folder)`` reads them all. Two folders below hold the pages
on the nights' verdicts, and the accepted shifts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bench.errors import StoreError
from bench.store.files import remove_leftovers
from bench.store.parquet import as_table, read_folder, write_file
from bench.store.records import VERSION_KEY
from reports.runs.completeness import ranges
from reports.runs.night import CONFIGURATION, Night
from reports.runs.ratios import latest, ratios
from reports.runs.rules import number_breaches
from reports.runs.selection import Selection
from reports.verdict.decision import INCOMPLETE
from reports.verdict.gates import has_run
from reports.verdict.judgement import Judgement
from reports.verdict.notebook import INCONCLUSIVE

HISTORY_VERSION = 3
MEASURED = ["accuracy", "valid_loss"]
MOMENTS = ["accuracy_mean", "accuracy_sd", "valid_loss_mean", "valid_loss_sd"]
RATIO = ["throughput_ratio", "throughput_ratio_low", "throughput_ratio_high"]
PROVENANCE = {
    "device_name": "device",
    "driver_version": "driver",
    "cuda_version": "CUDA",
    "cudnn_version": "cuDNN",
    "torch_version": "torch",
    "fastai_version": "fastai",
    "source_sha256": "training code",
    "commit": "commit",
}
"""The columns about a night's software and device, with their labels."""
HASHES = ("source_sha256", "commit")
PAGES, SHIFTS = "_verdicts", "_accepted"
"""Folders in the history's. Parquet readers skip names that begin so."""
GATES, BETWEEN_GATES = "gates", "; "
FINAL_VALUES = "final_values"
DIGITS = 4
"""Significant digits of the final values: a fiftieth of their deviation over seeds or better."""
OPEN = (INCONCLUSIVE, INCOMPLETE)
"""Verdicts that a later verdict on the same night replaces."""

SCHEMA = pa.schema(
    [
        pa.field("night", pa.timestamp("us", tz="UTC"), nullable=False),
        *(pa.field(name, pa.string(), nullable=False) for name in CONFIGURATION),
        pa.field("seeds", pa.int64(), nullable=False),
        pa.field("seed_ranges", pa.string(), nullable=False),
        pa.field("diverged", pa.int64(), nullable=False),
        pa.field(FINAL_VALUES, pa.string()),
        *(pa.field(name, pa.float64()) for name in (*MOMENTS, *RATIO)),
        pa.field("verdict", pa.string(), nullable=False),
        *(pa.field(name, pa.string()) for name in PROVENANCE),
        pa.field(GATES, pa.string()),
    ],
    metadata={VERSION_KEY: str(HISTORY_VERSION).encode()},
)
"""One row per configuration and night. ``night`` is the start of the earliest run. ``seeds`` counts
the whole runs with finite final values, ``seed_ranges`` names them, and ``diverged`` counts the
others. ``final_values`` has a seed, its accuracy and its validation loss after the last epoch,
separated by spaces, and so on for every seed; ``values_of`` reads it. Means and standard deviations
are over these seeds, of the accuracy (0 to 1) and of the validation loss (nats per token) after the
last epoch. ``throughput_ratio`` compares the training step with the reference backend's, with a 95%
interval. ``gates`` names the gates that ran, joined by ``; ``. Null means that there is no
value."""


def moments(grid: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``night`` to ``valid_loss_sd`` of ``SCHEMA``, one row per configuration.

    ``grid`` is that of a ``Selection``. Standard deviations divide by n - 1; they are NaN for a
    single seed.
    """
    rows = []
    for (variant, backend), runs in grid.sort_values("seed").groupby(CONFIGURATION):
        finite = runs[np.isfinite(runs[MEASURED]).all(axis=1)]
        row = {
            "night": grid["started_at"].min(),
            "variant": str(variant),
            "backend": str(backend),
            "seeds": len(finite),
            "seed_ranges": ranges(finite["seed"]),
            "diverged": len(runs) - len(finite),
            FINAL_VALUES: text_of(finite[["seed", *MEASURED]].to_numpy(dtype=np.float64)),
        }
        for measure in MEASURED:
            row[f"{measure}_mean"] = finite[measure].mean()
            row[f"{measure}_sd"] = finite[measure].std()
        rows.append(row)
    return pd.DataFrame(rows, columns=SCHEMA.names[: SCHEMA.names.index(MOMENTS[-1]) + 1])


def start_of(selection: Selection) -> pd.Timestamp:
    """Return the start of a night's earliest run, by which the history knows a complete night."""
    first: pd.Timestamp = min(runs["started_at"].min() for runs in (selection.runs, selection.grid))
    return first


def text_of(values: npt.NDArray[np.float64]) -> str:
    """Return rows of a seed, its accuracy and its validation loss as a cell of ``final_values``."""
    return " ".join(
        f"{int(seed)} {accuracy:.{DIGITS}g} {loss:.{DIGITS}g}"
        for seed, accuracy, loss in values.tolist()
    )


def values_of(text: str) -> npt.NDArray[np.float64]:
    """Return a cell of ``final_values`` as rows of a seed, its accuracy and its validation loss.

    Raises ValueError for other text, for values that are not finite, and for a seed named twice.
    """
    values = np.array(text.split(), dtype=np.float64).reshape(-1, 1 + len(MEASURED))
    if not np.isfinite(values).all() or len(np.unique(values[:, 0])) < len(values):
        raise ValueError("values are not finite, or of one seed twice")
    return values


def summarise(tonight: Night, judgement: Judgement) -> pd.DataFrame:
    """Return a night's rows, in the columns and types of ``SCHEMA``.

    There is one row for every configuration with a run, even a failed or short one, or with a timed
    step, and no row if every run failed and nothing was timed. Throughput counts only on the runs'
    own device and dtype. If the provenance of the runs differs, the values are joined by ``; ``.
    """
    selection = tonight.selection
    columns = ["started_at", "dtype", *PROVENANCE]
    trained = [runs[columns] for runs in (selection.runs, selection.grid) if len(runs)]
    timed = latest(selection.throughput)
    for name in ("device_name", "dtype") if trained else ():
        timed = timed[timed[name].isin(trained[0][name])]
    sources = pd.concat(trained or [timed[columns]])
    speeds = {
        (ratio.variant, ratio.backend): (ratio.ratio, ratio.low, ratio.high)
        for ratio in ratios(timed)
        if ratio.phase == "train_step" and not ratio.aa_control
    }
    known = {(row["variant"], row["backend"]): row for row in _rows(moments(selection.grid))}
    configurations = sorted({*judgement.configurations, *known, *speeds}) if len(sources) else []
    night: dict[str, Any] = {
        "night": sources["started_at"].min(),
        "verdict": judgement.verdict,
        GATES: BETWEEN_GATES.join(gate.name for gate in judgement.gates if has_run(gate)),
        **{name: _joined(sources[name]) for name in PROVENANCE},
    }
    rows = [
        dict(zip(CONFIGURATION, configuration, strict=True))
        | {"seeds": 0, "seed_ranges": "", "diverged": 0}
        | known.get(configuration, {})
        | dict(zip(RATIO, speeds.get(configuration, (None,) * 3), strict=True))
        | night
        for configuration in configurations
    ]
    frame = pd.DataFrame(rows, columns=SCHEMA.names)
    return as_table(frame, SCHEMA).to_pandas()  # type: ignore[no-any-return]


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict(orient="records")


def _joined(values: pd.Series[Any]) -> str | None:
    return "; ".join(sorted(values.dropna().astype(str).unique())) or None


def append(folder: Path, summary: pd.DataFrame) -> Path:
    """Store a night's summary and return its file; the same summary is stored only once.

    Creates the folder if needed. Raises ValueError unless the summary is of one night, StoreError
    if the folder is not writable.
    """
    nights = summary["night"].unique()
    if len(nights) != 1:
        raise ValueError(f"a summary must be of one night, not of {len(nights)}")
    table = as_table(summary.sort_values(CONFIGURATION, kind="stable"), SCHEMA)
    path = folder / f"{_stem(table)}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        write_file(path, table)
    except OSError as error:
        raise StoreError(
            f"cannot write to history folder {folder} ({error.strerror}): "
            "name one that you may write to"
        ) from error
    return path


def verdict_page(night: pd.DataFrame) -> str:
    """Return where a night's verdict is kept as markdown, from the history's folder.

    ``night`` has the rows of one night, as ``summarise`` or ``read`` returns them.
    """
    table = as_table(night.sort_values(CONFIGURATION, kind="stable"), SCHEMA)
    return f"{PAGES}/{_stem(table)}.md"


def _stem(table: pa.Table) -> str:
    """Return the name of a night's file, without its suffix."""
    text = json.dumps([HISTORY_VERSION, table.to_pylist()], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    return f"{table['night'][0].as_py():%Y%m%dT%H%M%SZ}-{digest}"


def read(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return all nights' rows, oldest first, and the reason for each unreadable file by its name.

    Of several summaries of one night, that of the most seeds counts; at a tie one whose verdict is
    not open, since a night may be completed, and a suspicion confirmed or cleared. A folder that
    does not exist has no nights.
    """
    files, unreadable = read_folder(folder, SCHEMA)
    unreadable |= {name: reason for name, table in files.items() if (reason := _breach(table))}
    named = [
        table.append_column("file", pa.array([name] * len(table), pa.string()))
        for name, table in files.items()
        if name not in unreadable
    ]
    empty = SCHEMA.empty_table().append_column("file", pa.array([], pa.string()))
    history: pd.DataFrame = pa.concat_tables([empty, *named]).to_pandas()
    about = history.groupby("file").agg(
        night=("night", "first"), seeds=("seeds", "sum"), verdict=("verdict", "first")
    )
    about["decided"] = ~about["verdict"].isin(OPEN)
    ordered = about.sort_values(["night", "seeds", "decided"], kind="stable")
    chosen = ordered.drop_duplicates("night", keep="last").index
    history = history[history["file"].isin(chosen)].drop(columns="file")
    return history.sort_values(["night", *CONFIGURATION], ignore_index=True), unreadable


def _breach(table: pa.Table) -> str | None:
    """Return what is impossible about a night's values, or None."""
    nullable = {field.name for field in SCHEMA if field.nullable}
    for breach in number_breaches(table.to_pandas(), nullable, datetime.now(UTC)):
        if breach.rows.any():
            return f"it has {breach.what} ({breach.reason})"
    for row in table.select(["seeds", FINAL_VALUES]).drop_null().to_pylist():
        try:
            sound = len(values_of(row[FINAL_VALUES])) == row["seeds"]
        except ValueError:
            sound = False
        if not sound:
            return "its final values are not three finite numbers for each of its seeds"
    return None


@dataclass(frozen=True)
class Change:
    """A change of software or device: its first night, and the new values by column."""

    night: pd.Timestamp
    values: dict[str, str]

    @property
    def label(self) -> str:
        """The new values with their labels; hashes are abbreviated."""
        return ", ".join(
            f"{PROVENANCE[column]} {value[:7] if column in HASHES else value}"
            for column, value in self.values.items()
        )


def changes(history: pd.DataFrame, columns: Sequence[str] = tuple(PROVENANCE)) -> list[Change]:
    """Return the changes in ``columns`` from one night to the next, oldest first."""
    nights = history.drop_duplicates("night").sort_values("night")
    values = nights[list(columns)].fillna("none").astype(str)
    other = (values != values.shift()) & (np.arange(len(values)) > 0)[:, None]
    return [
        Change(night, {column: row[column] for column in columns if changed[column]})
        for night, row, changed in zip(nights["night"], _rows(values), _rows(other), strict=True)
        if any(changed.values())
    ]
