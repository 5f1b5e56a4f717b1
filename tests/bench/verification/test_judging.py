"""The departures of a store's runs, by configuration."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.store.records import FAILED, OK, SKIPPED
from bench.store.store import Contents
from bench.verification.judging import (
    NOT_RUN,
    as_text,
    closing_sentence,
    exit_code,
    judge,
    near,
)
from hnrnn.departures import (
    ANOTHER_COMPUTATION,
    NO_REFERENCE,
    SAME_DIGITS,
    SAME_TO_ROUNDING,
    UNEXPLAINED,
    WIDER,
)
from hnrnn.published import MEASURES, reference_runs, reference_weights, rounding


def contents(
    *, seeds: int = 1, moved: float = 0.0, column: str = "valid_loss", **changes: object
) -> Contents:
    """Return a store with the reference's own runs of Model4 on nn, and changes to all of them."""
    chosen = f"variant == 'Model4' and initialisation == 'ones' and seed < {seeds}"
    epochs = reference_runs().query(f"{chosen} and epoch < 2")
    runs = (
        reference_weights()
        .query(chosen)
        .assign(backend="nn", dtype="float32", device="cpu", status=OK, error=None)
    )
    for table in (runs, epochs):
        table["run_id"] = table["seed"].map("run {}".format)
    runs = runs.assign(**changes)
    epochs = epochs.assign(**{"backend": "nn", column: epochs[column] + moved})
    if set(runs["status"]) & {FAILED, SKIPPED}:
        epochs = epochs.head(0)
    return Contents(
        runs.reset_index(drop=True),
        epochs[["run_id", "variant", "backend", "seed", "epoch", *MEASURES]],
        pd.DataFrame(),
        {},
    )


def limit() -> float:
    """Return the furthest healthy distance of Model4's validation loss after either epoch."""
    cells = rounding().query(
        "initialisation == 'ones' and variant == 'Model4' and column == 'valid_loss' and epoch < 2"
    )
    return float(cells["furthest"].max())


@pytest.mark.parametrize(
    ("stored", "verdict", "code"),
    [
        (contents(), SAME_DIGITS, 0),
        (contents(moved=1e-6, column="train_loss"), SAME_TO_ROUNDING, 0),
        (contents(moved=0.01), ANOTHER_COMPUTATION, 1),
        (contents(seeds=5, moved=0.01), ANOTHER_COMPUTATION, 1),
        (contents(moved=WIDER * limit(), device="cuda"), UNEXPLAINED, 4),
        (contents(moved=0.01, device="cuda"), ANOTHER_COMPUTATION, 1),
        (contents(initial_weights_sha256="others"), ANOTHER_COMPUTATION, 1),
        (contents(seed=99_999), NO_REFERENCE, 4),
        (contents(status=FAILED, error="it broke"), NOT_RUN, 1),
        (contents(status=SKIPPED, error="it needs a GPU"), NOT_RUN, 1),
    ],
)
def test_verdicts(stored: Contents, verdict: str, code: int) -> None:
    """The reference's own runs are the same, and each way to differ has its exit code."""
    table = judge(stored)
    assert list(table["verdict"]) == [verdict]
    assert exit_code(table) == code


def test_what_more_seeds_decide() -> None:
    """They decide what one seed shows only just; nothing that is clear either way."""
    assert not near(judge(contents())).any()
    assert near(judge(contents(moved=5 * limit()))).all()
    assert not near(judge(contents(moved=50 * limit()))).any()
    assert not near(judge(contents(status=FAILED, error="it broke"))).any()


def test_what_is_printed() -> None:
    """A line names the configuration, where it departs first, by how much, or why it cannot."""
    line = as_text(judge(contents(seeds=5, moved=0.01))).splitlines()[1]
    assert line.startswith("Model4   nn       another computation  valid_loss after epoch 0: 1e-02")
    assert "5 of 5 seeds beyond" in line
    assert "other initial weights" in as_text(judge(contents(initial_weights_sha256="others")))
    assert "it broke" in as_text(judge(contents(status=FAILED, error="it broke")))


def test_other_weights_of_some_seeds() -> None:
    """Seeds from other weights make another computation, however right the other seeds are."""
    hashes = [contents().runs["initial_weights_sha256"][0], "others", "others"]
    table = judge(contents(seeds=3, initial_weights_sha256=hashes))
    assert list(table["verdict"]) == [ANOTHER_COMPUTATION]
    assert exit_code(table) == 1
    assert not near(table).any()
    assert "other initial weights (2 of 3 seeds)" in as_text(table)
    assert closing_sentence(table, 2) == (
        "0 of 1 configurations compute what fastai 1.0.61 computed (3 seeds, 2 epochs); "
        "1 computes something else."
    )


def test_closing_sentence_of_what_was_compared() -> None:
    """It counts the seeds and epochs that were compared."""
    mixed = contents(seeds=3, seed=[0, 1, 99_999])
    assert "(2 seeds, 20 epochs)" in closing_sentence(judge(mixed), 30)
    table = judge(contents())
    skipped = judge(contents(status=SKIPPED, error="it needs a GPU")).assign(backend="graphed")
    assert "(1 seed, 2 epochs)" in closing_sentence(pd.concat([table, skipped]), 2)
    assert "seed" not in closing_sentence(skipped, 2)
    two = pd.concat([table, table.assign(variant="Model0")])
    assert "(1 seed, up to 20 epochs)" in closing_sentence(two, 30)


def test_closing_sentence() -> None:
    """It counts what was compared, and what was not."""
    assert closing_sentence(judge(contents()), 2) == (
        "1 of 1 configurations compute what fastai 1.0.61 computed (1 seed, 2 epochs), "
        "1 of them to the last digit."
    )
    assert closing_sentence(judge(contents(seeds=5, moved=0.01)), 2) == (
        "0 of 1 configurations compute what fastai 1.0.61 computed (5 seeds, 2 epochs); "
        "1 computes something else."
    )
