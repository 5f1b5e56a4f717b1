"""What becomes of a run that has ended."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.engines.ledger import Attempt, Ledger
from bench.store.records import FAILED, OK
from bench.store.store import RUNS, Store
from tests.trainers import ENVIRONMENT, OTHER_ENVIRONMENT, PROVENANCE, made_up_run, record_of


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return the ledger of an empty store."""
    store = Store(tmp_path)
    store.prepare()
    return Ledger(store, ENVIRONMENT, PROVENANCE)


def test_a_record_is_stored(ledger: Ledger) -> None:
    """A record of the plan's environment is stored, with its task's seconds shared out."""
    runs = (made_up_run(0), made_up_run(1))
    attempt = Attempt(runs)
    attempt.end(1.0)
    ended = [ledger.keep(record_of(run), attempt) for run in runs]
    assert [finished.status for finished in ended] == [OK, OK]
    assert ended[0].total_seconds == ended[1].total_seconds == attempt.seconds
    assert len(ledger.store.read().runs) == 2
    assert ledger.halt is None


def test_another_environment_is_not_the_planned_run(ledger: Ledger) -> None:
    """A record of another environment is stored as a failure of the planned run, and says why."""
    run = made_up_run(0)
    finished = ledger.keep(record_of(run, OTHER_ENVIRONMENT), Attempt((run,)))
    assert finished.status == FAILED
    assert "torch_version is 2.12.0, the plan needs 2.13.0" in str(finished.error)
    assert list(ledger.store.read().runs["run_id"]) == [record_of(run).run_id]


def test_a_newer_folder_ends_the_night(ledger: Ledger) -> None:
    """A record that would overwrite a newer version's file is not stored, and nothing more is."""
    run = made_up_run(0)
    record = record_of(run)
    ledger.store.write(record)
    path = ledger.store.path(RUNS, record.run_id)
    newer = pq.ParquetFile(path).read().replace_schema_metadata({"schema_version": "99"})
    pq.write_table(newer, path)
    before = path.read_bytes()
    assert ledger.keep(record, Attempt((run,))).status == FAILED
    assert "nothing more can be stored" in str(ledger.halt)
    assert "version 99 is newer" in str(ledger.halt)
    assert path.read_bytes() == before
