"""The published page, on which what has been computed again is claimed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "reports" / "published"
DATA = ROOT / "hnrnn" / "published"
MEASURES = ["train_loss", "valid_loss", "accuracy"]
MODELS = [f"Model{number}" for number in range(8)]
OWN = dict(zip(MODELS, ["custom"] * 4 + ["nn", "nn", "cell", "custom"], strict=True))
"""The notebook's backend of each model."""
NAMES = re.compile(r"Model\d|float(?:32|64)|SHA-256|U\(0, 1\)|GRU, CUDA|\[[^]]*\]\(#model\d\)")
"""Words with a digit that is no figure."""
TABLE = re.compile(r"^\| .*\n\| [-: |]*\n((?:\| .*\n)+)", re.MULTILINE)


class Page:
    """The text of the report; every part that a check has made again is claimed."""

    def __init__(self, text: str) -> None:
        self.text = f"\n{text}"
        self._claimed = [False] * len(self.text)

    def claim(self, *parts: str) -> None:
        """Claim text wherever it stands; AssertionError where it stands nowhere."""
        for part in parts:
            places = [found.start() for found in re.finditer(re.escape(part), self.text)]
            assert places, f"the page does not say: {part}"
            for place in places:
                self._claimed[place : place + len(part)] = [True] * len(part)

    def claim_table(self, heading: str, rows: Sequence[Sequence[str]], place: int = 0) -> None:
        """Claim the rows of the first (or a later) table under a heading: these and no others."""
        assert self.text.count(f"\n{heading}\n") == 1, heading
        start = self.text.index(f"\n{heading}\n")
        tables = list(TABLE.finditer(self.text[start:]))
        found, at = tables[place].group(1), start + tables[place].start(1)
        expected = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        assert found.splitlines() == expected.splitlines(), heading
        self._claimed[at : at + len(found)] = [True] * len(found)

    def unclaimed(self) -> list[str]:
        """Return the lines with a figure that nothing has claimed."""
        left = "".join(
            " " if claimed and letter != "\n" else letter
            for letter, claimed in zip(self.text, self._claimed, strict=True)
        )
        lines = zip(self.text.splitlines(), left.splitlines(), strict=True)
        return [line for line, rest in lines if re.search(r"\d", NAMES.sub("", rest))]


class Records:
    """The published parquet, and the figures that other people published."""

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Every run."""
        return pd.read_parquet(PUBLISHED / "cpu" / "runs")

    @cached_property
    def exact(self) -> pd.DataFrame:
        """Every epoch with how its run's BatchNorm weights started."""
        starts = self.runs[["run_id", "initialisation"]]
        return pd.read_parquet(PUBLISHED / "cpu" / "epochs").merge(starts, on="run_id")

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Every epoch, rounded as a notebook prints."""
        return self.exact.round(dict.fromkeys(MEASURES, 6))

    @cached_property
    def throughput(self) -> pd.DataFrame:
        """Every sample."""
        return pd.read_parquet(PUBLISHED / "cpu" / "throughput")

    @cached_property
    def notebook(self) -> pd.DataFrame:
        """The notebook's tables."""
        return pd.read_csv(DATA / "tables.csv")

    @cached_property
    def third_party(self) -> pd.DataFrame:
        """Third-party runs."""
        return pd.read_csv(DATA / "third_party_runs.csv")

    def own(self, model: str, start: str = "ones", *, exact: bool = False) -> pd.DataFrame:
        """Return a model's epochs on the notebook's backend."""
        epochs = self.exact if exact else self.epochs
        alike = (epochs["variant"] == model) & (epochs["backend"] == OWN[model])
        return epochs[alike & (epochs["initialisation"] == start)]

    def of_all_sets(self, model: str, start: str) -> pd.DataFrame:
        """Return a model's epochs of the published sets, each seed from the first that has it."""
        parts = [
            self.own(model, start),
            self._ensemble.query("variant == @model and start == @start"),
        ]
        return pd.concat(parts).drop_duplicates(["seed", "epoch"])

    @cached_property
    def _ensemble(self) -> pd.DataFrame:
        folder = PUBLISHED / "ensemble"
        starts = pd.read_parquet(folder / "runs")[["run_id", "initialisation"]]
        epochs = pd.read_parquet(folder / "epochs").merge(starts, on="run_id")
        return epochs.rename(columns={"initialisation": "start"}).round(dict.fromkeys(MEASURES, 6))

    def table(self, model: str) -> pd.DataFrame:
        """Return the notebook's table of a model by epoch."""
        return self.notebook[self.notebook["model"] == model].set_index("epoch")
