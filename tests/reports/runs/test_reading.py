"""Reading a store sets apart the rows with unknown names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.store.records import OK
from bench.store.store import Contents, Store
from reports.runs.completeness import find_problems
from reports.runs.night import Night
from reports.runs.reading import read
from tests import hostile_data
from tests.hostile_data import VALUES


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table in ("runs", "epochs", "throughput")
     for column in ("variant", "backend", "status", "phase")
     if column in hostile_data.PLACES[table]],
)  # fmt: skip
def test_unknown_rows_are_set_apart(table: str, column: str, tmp_path: Path) -> None:
    """A row with an unknown variant, backend, status or phase is named and left out."""
    sound = hostile_data.sound_contents()
    getattr(sound, table).loc[[0, 1], column] = "Model9"
    Store(tmp_path).write_contents(sound)
    contents = read(tmp_path)
    first = getattr(sound, table).iloc[0, 0]
    reason = f"unknown value (2 rows, first in {first})"
    assert contents.unreadable == {f"{table} with {column} Model9": reason}
    gone = 2
    if table == "epochs":  # the whole run goes with them
        gone = int((sound.epochs["run_id"] == sound.epochs["run_id"][0]).sum())
        assert len(contents.runs) == len(sound.runs) - 1
    assert len(getattr(contents, table)) == len(getattr(sound, table)) - gone
    found = [str(problem) for problem in find_problems(Night.of(contents))]
    assert f"impossible records: {table} with {column} Model9: {reason}" in found


def test_a_night_of_hostile_text_can_agree(tmp_path: Path) -> None:
    """Hostile text in a free-text column is not a problem by itself."""
    sound = hostile_data.sound_contents()
    runs = sound.runs[sound.runs["status"] == OK].assign(platform=VALUES["script"])
    Store(tmp_path).write_contents(Contents(runs, sound.epochs, sound.throughput, {}))
    assert find_problems(Night.of(read(tmp_path))) == []
