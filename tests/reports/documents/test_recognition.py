"""A table is recognised by what its code does and by its own numbers, never guessed."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import numpy as np
import pandas as pd
import pytest

from hnrnn.published import MEASURES, tables, third_party_runs
from hnrnn.variants import VARIANTS
from reports.documents.document import read_tables
from reports.documents.recognition import recognise, validation_targets
from reports.documents.training_table import TrainingTable
from tests.reports.documents import forms
from tests.reports.documents.forms import CODE, FIT, made_up
from tests.reports.documents.programs import program

ELSEWISE = pd.DataFrame(
    {
        "epoch": range(10),
        "train_loss": np.linspace(3, 0.1, 10),
        "valid_loss": np.linspace(3, 1, 10),
        "accuracy": [round(count / 16640, 6) for count in range(7001, 12001, 500)],
    }
)
"""Accuracies out of the validation targets with bptt 65."""


def table_of(name: str, code: str | None = None) -> TrainingTable:
    """Return a made-up table of a variant, with the program that trains it or other code."""
    return TrainingTable("run.ipynb", made_up(name), program(name) if code is None else code)


@pytest.mark.parametrize("name", VARIANTS)
def test_by_what_the_code_builds(name: str) -> None:
    """Every variant is recognised by the network and the recipe in its code, whatever its names."""
    found = recognise(table_of(name))
    assert (found.variant, found.candidates) == (name, (name,))
    assert found.reason == (
        f"It is {name}: its code builds that network, and its epochs and accuracies fit."
    )


CHANGES = {
    "bptt": ("Model5", "bptt=20", "bptt=40", "its bptt is 40, not 20"),
    "default bptt": ("Model4", ", bptt=20", "", "its bptt is 70, not 20"),
    "batch size": ("Model3", "rows, size = 64", "rows, size = 32", "its batch size is 32, not 64"),
    "hidden size": ("Model6", "size = 64, 64", "size = 64, 56", "it has 56 hidden units, not 64"),
    "epochs": ("Model7", "cycle(10", "cycle(5 * 3", "it is trained for 15 epochs, not 10"),
    "rate": ("Model5", "0.01", "max_lr=1e-3", "its learning rate is 0.001, not 0.01"),
    "pct_start": ("Model2", ", pct_start=0.1", "", "its pct_start is 0.3, not 0.1"),
    "fit": ("Model1", "fit_one_cycle", "fit", "it calls fit instead of fit_one_cycle"),
    "weight decay": ("Model1", "metrics=", "wd=0.1, metrics=", "its learner sets wd"),
    "momentum": ("Model5", "0.01)", "0.01, moms=(0.8, 0.7))", "fit_one_cycle sets moms"),
    "precision": ("Model5", "learn.fit", "learn.to_fp16().fit", "its learner calls to_fp16"),
    "batches": ("Model5", "databunch", "dataloaders", "are not those of fastai 1's databunch"),
    "layers": ("Model5", "size, 2, batch", "size, batch", "it has 1 layer, not 2"),
    "unknown layers": ("Model5", "size, 2, batch", "size, many, batch", "without number, not 2"),
    "nonlinearity": (
        "Model4",
        "batch_first",
        "nonlinearity='relu', batch_first",
        "it sets nonline",
    ),
    "LSTM": ("Model5", "nn.GRU", "nn.LSTM", "its recurrent layer is nn.LSTM"),
    "time first": ("Model4", ", batch_first=True", "", "its batches are (time, batch)"),
    "state": ("Model5", "        self.state = state.detach()\n", "", "not keep its hidden state"),
    "dropout": ("Model5", "self.norm(found)", "self.unused(self.norm(found))", "it uses Dropout"),
    "no norm": ("Model5", "self.norm(found)", "found", "it uses 0 BatchNorm layers, not 1"),
    "first token": (
        "Model0",
        "self.embed(batch[:, 0])",
        "self.inner(self.embed(batch[:, 0]))",
        "its first token passes the hidden layer too",
    ),
    "fed back": (
        "Model3",
        "found.append(self.norm(state))",
        "state = self.norm(state); found.append(state)",
        "the state that it feeds back is normalised",
    ),
    "not fed back": (
        "Model1",
        "state = self.norm(",
        "normed = self.norm(",
        "the state that it feeds back is not normalised",
    ),
    "all steps": (
        "Model3",
        "self.scores(torch.stack(found, dim=1))",
        "self.scores(self.norm(torch.stack(found, dim=1)))",
        "it normalises all steps together",
    ),
    "kept": (
        "Model1",
        "return self.scores(state)",
        "self.state = state; return self.scores(state)",
        "it keeps its hidden state",
    ),
    "steps first": (
        "Model2",
        "in range(batch.shape[1])",
        "in batch",
        "its batches are (time, batch)",
    ),
    "trained before": (
        "Model5",
        "learn.fit",
        "learn.fit_one_cycle(1, 1e-2)\nlearn.fit",
        "it continues a training",
    ),
    "loaded": ("Model5", "learn.fit", "learn.load('best')\nlearn.fit", "it continues a training"),
    "loaded model": ("Model5", "Net()", "Net().load_state_dict(kept)", "it continues a training"),
    "a new learner": (
        "Model5",
        "learn.fit",
        "learn.fit(1)\nlearn = Learner(data, learn.model)\nlearn.fit",
        "it continues a training",
    ),
    "a loop": ("Model5", "learn.fit", "for _ in range(3): learn.fit", "it continues a training"),
    "our training": (
        "Model5",
        "Learner(data, Net(), ",
        "hnrnn.learner('Model5', sizes={'hidden_size': 32}, ",
        "learner sets sizes",
    ),
    "a cell of its own": ("Model7", "torch.tanh(", "torch.relu(", "Gates is no GRU cell"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_recipe(change: str) -> None:
    """A change that makes another recipe is named, and its table is not judged."""
    name, old, new, reason = CHANGES[change]
    assert old in program(name)
    found = recognise(table_of(name, program(name).replace(old, new)))
    assert (found.variant, found.candidates) == (None, ())
    assert found.reason.startswith(f"It is not {name}'s recipe: ")
    assert reason in found.reason


def test_another_cell() -> None:
    """A call of which nothing is known is not taken for an earlier one."""
    found = recognise(table_of("Model5", f"{program('Model5')}\nother.fit_one_cycle(10, 1e-2)"))
    assert (found.variant, found.candidates) == (None, ("Model5", "Model6", "Model7"))


def test_no_variant() -> None:
    """A training that resembles none of the variants is held against the nearest recipe."""
    found = recognise(table_of("Model5", "learn = Learner(d, net)\nlearn.fit_one_cycle(3, 0.01)"))
    assert (found.variant, found.candidates) == (None, ())
    assert found.reason == (
        "It is no variant's recipe; beside Model5's, it is trained for 3 epochs, not 10."
    )


_BUILD_AND_FIT = "learn = Learner(data, Net(), metrics=accuracy)\nlearn.fit_one_cycle(10, 0.01)"
SAME = {
    "a loop that builds the learner": (
        _BUILD_AND_FIT,
        f"for seed in range(3):\n{indent(_BUILD_AND_FIT, '    ')}",
    ),
    "a function": (
        _BUILD_AND_FIT,
        """\
def run(net, rate=1e-2, epochs=10):
    with warnings.catch_warnings():
        Learner(data, net.cuda(), metrics=accuracy).fit_one_cycle(epochs, max_lr=rate)
run(Net())""",
    ),
    "other names of arguments": (
        _BUILD_AND_FIT,
        """\
learn = Learner(model=Net(), data=data)
learn.lr_find()
with learn.no_bar():
    learn.fit_one_cycle(cyc_len=10, max_lr=1 / 100)""",
    ),
    "a learner that is built again": (
        "learn.fit_one_cycle(10, 0.01)",
        """\
learn.fit(3)
learn = Learner(data, Net())
learn.fit_one_cycle(data.bptt // 2, 0.01)""",
    ),
    "layers by name": ("(size, size, 2,", "(input_size=size, hidden_size=size, num_layers=2,"),
    "a size as a parameter": ("__init__(self)", "__init__(self, size=64, unused: int = 3)"),
    "commands of IPython": ("learn.fit", "%matplotlib inline\n!nvidia-smi\nNet??\nlearn.fit"),
}


@pytest.mark.parametrize("change", SAME)
def test_the_same_recipe(change: str) -> None:
    """The same training, written otherwise, is recognised."""
    old, new = SAME[change]
    assert old in program("Model5")
    assert recognise(table_of("Model5", program("Model5").replace(old, new))).variant == "Model5"


@pytest.mark.parametrize(
    ("code", "variant"),
    [
        (
            "import hnrnn\nlearn = hnrnn.learner('Model6', seed=0)\nlearn.fit_one_cycle(10, 1e-2)",
            "Model6",
        ),
        ("hnrnn.train('Model6', seed=0, device='cpu')", "Model6"),
        ("learn = Learner(data, Model6())\nlearn.fit_one_cycle(10, 1e-2)", "Model6"),
        ("learn = Learner(data, net)\nlearn.fit_one_cycle(10, 1e-2)", None),
    ],
    ids=["our learner", "our training", "a class by name", "no class"],
)
def test_without_a_class(code: str, variant: str | None) -> None:
    """A model whose source is not there is known by its variant's name, or is ambiguous."""
    found = recognise(table_of("Model6", code))
    assert found.variant == variant
    if variant is None:
        assert found.candidates == ("Model5", "Model6", "Model7")


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("Model0", "Model0 Model1"),
        ("Model4", "Model3 Model4"),
        ("Model7", "Model2 Model5 Model6 Model7"),
    ],
)
def test_without_code(name: str, candidates: str) -> None:
    """Without code a table is ambiguous, and every variant that it could be is named."""
    found = recognise(TrainingTable("run.csv", made_up(name)))
    assert (found.variant, found.candidates) == (None, tuple(candidates.split()))
    assert found.reason.startswith(f"It may be {candidates.split(maxsplit=1)[0]}")
    assert found.reason.endswith("say which with --variant.")


def test_by_the_name_in_its_source() -> None:
    """A file or a column that names a variant is believed as far as the numbers allow."""
    found = recognise(TrainingTable("runs.csv, Model5, table 3 of 4", made_up("Model5")))
    assert (found.variant, "its source names it" in found.reason) == ("Model5", True)
    for source in ("runs.csv, Model4", "Model1_Model5.csv"):
        assert recognise(TrainingTable(source, made_up("Model5"))).variant is None


def test_part_of_a_table() -> None:
    """A fit that was interrupted is not judged as a whole; the epochs are counted."""
    part = TrainingTable("run.ipynb", made_up("Model5").head(7), program("Model5"))
    assert recognise(part).candidates == ("Model5",)
    assert recognise(part).reason == (
        "It may be Model5, but cannot be judged: it has 7 of 10 epochs, and a part is not judged "
        "as a whole."
    )
    alone = recognise(TrainingTable("run.csv", made_up("Model5").head(4)))
    assert (alone.variant, len(alone.candidates)) == (None, 6)
    assert "it has 4 epochs, and a part" in alone.reason


@pytest.mark.parametrize("column", MEASURES)
def test_missing_values(column: str) -> None:
    """A table with a value that is missing or infinite is named, and not judged."""
    rows = made_up("Model5")
    rows.loc[2, column] = np.nan if column != "train_loss" else np.inf
    found = recognise(TrainingTable("run.ipynb", rows, program("Model5")))
    assert (found.variant, found.candidates) == (None, ("Model5",))
    assert "it has no finite number in 1 place." in found.reason


def test_missing_epochs() -> None:
    """As many epochs as the variant has are not enough if they are others."""
    rows = made_up("Model5").assign(epoch=[*range(9), 10])
    found = recognise(TrainingTable("run.ipynb", rows, program("Model5")))
    assert (found.variant, "epochs do not run from 0 to 9" in found.reason) == (None, True)


def test_other_counts() -> None:
    """Accuracies that are no whole counts of the validation targets are another recipe's."""
    for table in (
        TrainingTable("run.csv", ELSEWISE),
        TrainingTable("run.ipynb", ELSEWISE, program("Model5")),
    ):
        found = recognise(table)
        assert (found.variant, found.candidates) == (None, ())
        assert "of its 10 accuracies cannot be whole counts of" in found.reason
        assert "14080 validation targets, so bptt, batch size or data differ" in found.reason


def test_more_epochs() -> None:
    """No variant has as many epochs as this table."""
    rows = pd.concat([made_up("Model4"), made_up("Model4").assign(epoch=range(20, 40))])
    found = recognise(TrainingTable("run.csv", rows.reset_index(drop=True)))
    assert (found.candidates, found.reason) == (
        (),
        "It is another recipe: it has 40 epochs, not 10.",
    )


def test_validation_targets() -> None:
    """They are whole batches, of every token or of the last ones."""
    assert [validation_targets(variant) for variant in VARIANTS.values()] == [4352] * 2 + [
        14080
    ] * 6


def test_rounded_accuracies() -> None:
    """Accuracies that were printed with fewer digits are held against what those allow."""
    rows = made_up("Model5").round({"accuracy": 4})
    assert recognise(TrainingTable("run.ipynb", rows, program("Model5"))).variant == "Model5"
    rows = ELSEWISE.round({"accuracy": 5})
    assert recognise(TrainingTable("run.ipynb", rows, program("Model5"))).variant is None


def test_what_the_user_says() -> None:
    """A named variant is taken, unless the table contradicts it."""
    assert recognise(TrainingTable("a.csv", made_up("Model6")), "Model6").variant == "Model6"
    contradictions = {
        "it has 6 of 10 epochs": made_up("Model0"),
        "it has 20 epochs, not 10": made_up("Model4"),
        "cannot be whole counts": ELSEWISE,
        "no finite number in 10 places": made_up("Model6").assign(valid_loss=np.nan),
    }
    for reason, rows in contradictions.items():
        found = recognise(TrainingTable("a.csv", rows), "Model6")
        assert found.variant is None
        assert found.reason.startswith("It cannot be judged as Model6: ")
        assert reason in found.reason
    with pytest.raises(ValueError, match="unknown variant 'Model9'"):
        recognise(TrainingTable("a.csv", made_up("Model6")), "Model9")


def test_published_tables(tmp_path: Path) -> None:
    """The notebook's tables and all third-party runs are read from CSV and recognised."""
    tables().to_csv(tmp_path / "tables.csv", index=False)
    third_party_runs().to_csv(tmp_path / "runs.csv", index=False)
    for name, runs in (("tables.csv", 8), ("runs.csv", 107)):
        found = read_tables(tmp_path / name)
        labels = [table.source.split(", ")[1] for table in found]
        assert len(found) == runs
        assert [recognise(table).variant for table in found] == labels


def test_several_fits(tmp_path: Path) -> None:
    """Only the first of several fits of one learner starts from fresh weights."""
    outputs = [forms.shown(forms.html(made_up(seed=seed))) for seed in (1, 2, 3)]
    cells = [(CODE + FIT, outputs[:1]), (f"{FIT}\n{FIT}", outputs[1:])]
    (tmp_path / "run.ipynb").write_text(forms.notebook(*cells), encoding="utf-8")
    found = [recognise(table) for table in read_tables(tmp_path / "run.ipynb")]
    assert [each.variant for each in found] == ["Model5", None, None]
    assert all("it continues a training" in each.reason for each in found[1:])


def test_same_recognition_in_every_form(tmp_path: Path) -> None:
    """Wherever the code is kept, the table is recognised; a CSV alone is ambiguous."""
    found = {}
    for name, form in forms.FORMS.items():
        path = tmp_path / f"run{form.suffix}"
        path.write_text(form.make(made_up()), encoding=form.encoding)
        (table,) = read_tables(path)
        found[name] = recognise(table).variant
    with_code = {name for name, form in forms.FORMS.items() if form.suffix == ".ipynb"}
    with_code |= {"a markdown page", "an exported page", "a notebook as text"}
    assert {name for name, variant in found.items() if variant == "Model5"} == with_code
    assert {variant for name, variant in found.items() if name not in with_code} == {None}
