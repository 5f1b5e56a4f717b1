"""Records and run ids."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.store.records import Environment, Record, Run, run_id
from bench.store.schemas import EPOCHS_SCHEMA, RUNS_SCHEMA
from tests.conftest import small_run
from tests.trainers import ENVIRONMENT


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x"


def test_id_is_of_the_content() -> None:
    """Equal content gives an equal id, in whatever order and on whatever machine."""
    assert run_id(small_run(), ENVIRONMENT) == run_id(small_run(), ENVIRONMENT)
    assert run_id(small_run(), ENVIRONMENT) == "5d30d09b54d8d58d5808"


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Run) if f.name != "variant"])
def test_id_depends_on_the_run(name: str) -> None:
    """Every field of a run is part of its id."""
    changed = dataclasses.replace(small_run(), **{name: other(getattr(small_run(), name))})
    assert run_id(changed, ENVIRONMENT) != run_id(small_run(), ENVIRONMENT)


def test_id_of_a_faulty_run() -> None:
    """A run without an injected fault has the id of a run without the field; each fault its own."""
    faults = (None, "lr_times_3", "lr_over_3")
    ids = [run_id(small_run(injected_fault=fault), ENVIRONMENT) for fault in faults]
    assert ids[0] == "5d30d09b54d8d58d5808"
    assert len(set(ids)) == 3


def test_label_names_the_injected_fault() -> None:
    """What is injected is said of a run, and nothing where there is nothing."""
    assert small_run().label == "Model4 nn seed 0"
    assert small_run(injected_fault="state_reset").label == "Model4 nn seed 0 with state_reset"


def test_id_depends_on_the_variant() -> None:
    """Two variants have two ids, whatever else is alike."""
    assert run_id(small_run("Model5", epochs=1), ENVIRONMENT) != run_id(small_run(), ENVIRONMENT)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Environment)])
def test_id_depends_on_the_environment(name: str) -> None:
    """Every field of the environment is part of the id."""
    changed = dataclasses.replace(ENVIRONMENT, **{name: other(getattr(ENVIRONMENT, name))})
    assert run_id(small_run(), changed) != run_id(small_run(), ENVIRONMENT)


def test_rows_have_the_schema(records: list[Record]) -> None:
    """A record's rows have exactly the columns of the tables."""
    record = records[0]
    assert list(record.run_row()) == RUNS_SCHEMA.names
    assert record.run_row()["injected_fault"] is None
    assert RUNS_SCHEMA.field("injected_fault").nullable
    assert [list(row) for row in record.epoch_rows()] == [EPOCHS_SCHEMA.names]
    assert EPOCHS_SCHEMA.names == [
        "run_id", "variant", "backend", "seed", "epoch",
        "train_loss", "valid_loss", "accuracy", "train_seconds", "valid_seconds",
    ]  # fmt: skip
