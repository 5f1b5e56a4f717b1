"""``python -m hnrnn facts``."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnrnn import facts
from hnrnn.__main__ import main
from hnrnn.published import Fact
from tests.hnrnn.test_corpus import write_copy


def test_all_equal(capsys: pytest.CaptureFixture[str]) -> None:
    """Every fact is printed with its cell and both values, all are equal, and they are counted."""
    assert main(["facts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "50 facts: 50 equal, 0 different"
    assert sum(line.startswith("cell ") for line in lines) == 50
    assert sum(line.startswith("         notebook  ") for line in lines) == 50


def test_nothing_made_is_left_out() -> None:
    """The computed and the published facts have the same names."""
    comparisons = facts.compare()
    made = facts.outputs(facts.corpora.generate())
    assert {(c.notebook.cell, c.notebook.key) for c in comparisons} == set(made)


def test_missing_value_is_different() -> None:
    """A fact without a computed value does not count as equal."""
    assert not facts.Comparison(Fact(5, "nothing", "value"), None).equal


def test_show_batch_goes_on_where_the_notebook_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells 38 and 48 differ if the stream is read from its start."""
    whole = facts.BatchStream.batch

    def from_the_start(self: facts.BatchStream, index: int) -> facts.Batch:
        return whole(self, 0 if index in (1, 3) else index)

    monkeypatch.setattr(facts.BatchStream, "batch", from_the_start)
    different = {c.notebook.cell for c in facts.compare() if not c.equal}
    assert {38, 48} <= different


def test_equal_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy of the corpus is read in place of the generated one, and named."""
    copy = write_copy(tmp_path / "copy")
    assert main(["facts", "--data", str(copy)]) == 0
    assert f"{copy} is equal to the generated text" in capsys.readouterr().out


def test_changed_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed copy gives exit code 1, the difference, and the facts that differ."""
    copy = write_copy(tmp_path / "copy", change=("one, two,", "two, one,"))
    assert main(["facts", "--data", str(copy)]) == 1
    output = capsys.readouterr().out
    assert "training number 1 is 'two', expected 'one'" in output
    assert "DIFFERENT" in output
    assert not output.splitlines()[-1].endswith(" 0 different")


def test_tiny_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy that is too small for the notebook's batches gives a message, not a crash."""
    for name in ("train.txt", "valid.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    assert main(["facts", "--data", str(tmp_path)]) == 1
    assert "cannot be computed from this text" in capsys.readouterr().out


def test_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing path gives one line and exit code 2."""
    assert main(["facts", "--data", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
