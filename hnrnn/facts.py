"""The notebook's deterministic outputs, computed again from the corpus and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hnrnn import corpus as corpora
from hnrnn import published
from hnrnn.corpus import Corpus
from hnrnn.published import Fact
from hnrnn.stream import Batch, BatchStream, language_model_data, numericalized
from hnrnn.vocab import tokenize

BS = 64
TEXTIFIED = {
    27: "x1[0]", 28: "y1[0]", 29: "x1[1]", 30: "y1[1]", 31: "x2[0]", 32: "x2[1]",
    33: "x3[0]", 34: "x1[1]", 35: "x2[1]", 36: "x3[1]", 37: "x3[-1]",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A fact of the notebook, and the value computed here or None."""

    notebook: Fact
    here: Any

    @property
    def equal(self) -> bool:
        """Whether both are equal, to the last printed digit."""
        return bool(self.notebook.value == self.here)


def compare(corpus: Corpus | None = None) -> list[Comparison]:
    """Return every published fact with its value in ``corpus``, by default the generated one."""
    here = outputs(corpus or corpora.generate())
    return [Comparison(fact, here.get((fact.cell, fact.key))) for fact in published.facts()]


def outputs(corpus: Corpus) -> dict[tuple[int, str], Any]:
    """Return the notebook's outputs for ``corpus``, by cell number and name."""
    vocab, train_numbers, valid_numbers = numericalized(corpus)
    dls = language_model_data(70, BS, corpus=corpus)
    x1, y1 = dls.valid.batch(0)
    x2, y2 = dls.valid.batch(1)
    x3, y3 = dls.valid.batch(2)
    made: dict[tuple[int, str], Any] = {}

    for cell, split, text in ((5, "training", corpus.train), (6, "validation", corpus.valid)):
        made[cell, f"{split} text, first 80 characters"] = text[:80]
        made[cell, f"{split} text, last 80 characters"] = text[-80:]
        made[cell, f"{split} text, characters"] = len(text)
    made[8, "training tokens as text, first 80 characters"] = " ".join(tokenize(corpus.train))[:80]
    made[9, "validation tokens"] = len(valid_numbers)
    made[10, "training tokens"] = len(train_numbers)
    made[11, "bptt and validation batches"] = [dls.valid.bptt, len(dls.valid)]
    made[12, "training batches, bptt 70"] = len(dls.train)
    made[13, "validation tokens / 70 / bs"] = len(valid_numbers) / 70 / BS
    made[14, "training tokens / 70 / bs"] = len(train_numbers) / 70 / BS
    made[16, "x1, corners"] = _corners(x1)
    made[17, "elements of x1, x2 and x3 together"] = x1.numel() + x2.numel() + x3.numel()
    for name, x in (("x1", x1), ("x2", x2), ("x3", x3)):
        made[18, f"elements of {name}"] = x.numel()
    made[19, "shapes of x1 and y1"] = _shapes((x1, y1))
    made[20, "shapes of x2 and y2"] = _shapes((x2, y2))
    made[21, "shapes of x3 and y3"] = _shapes((x3, y3))
    made[23, "vocabulary size"] = len(vocab)
    made[23, "vocabulary"] = list(vocab.itos)
    made[24, "x1[0]"] = x1[0].tolist()
    made[25, "y1[0]"] = y1[0].tolist()
    numbers = [19, 11, 12, 9, 19, 11, 13, 9]
    made[26, f"tokens {', '.join(map(str, numbers))}"] = [vocab.itos[i] for i in numbers]
    rows = {"x1": x1, "y1": y1, "x2": x2, "x3": x3}
    for cell, name in TEXTIFIED.items():
        batch, row = name.rstrip("]").split("[")
        made[cell, f"textify {name}"] = vocab.textify(rows[batch][int(row)])

    # v1's stream starts over only with an epoch. Cell 15 took three validation batches, a whole
    # pass, without starting an epoch, so show_batch gets the fourth.
    shown, _ = dls.valid.batch(3)
    for index in range(5):
        made[38, f"show_batch, row {index}"] = vocab.textify(shown[index])

    dls = language_model_data(3, BS, corpus=corpus)
    made[40, "training batches, bptt 3"] = len(dls.train)
    made[40, "validation batches, bptt 3"] = len(dls.valid)
    made[41, "bs"] = dls.train.bs
    # v1 takes the first training batch to check the data (DataBunch.sanity_check in cell 39), so
    # one_batch gets the second, and cell 48 shows it.
    x, y = dls.train.batch(1)
    made[42, "shapes of x and y, bptt 3"] = _shapes((x, y))
    made[43, "nv"] = len(vocab)
    made[48, "x[:,0], bptt 3"] = x[:, 0].tolist()

    dls = language_model_data(20, BS, corpus=corpus)
    made[56, "shapes of x and y, bptt 20"] = _shapes(dls.train.batch(1))
    made[59, "accuracies, as whole counts out of the validation targets, bptt 20"] = (
        _as_whole_counts("Model2", dls.valid)
    )
    return made


def _corners(x: Any) -> list[list[int]]:
    """Return the corners of a large matrix, as torch prints it: three rows and columns each."""
    return [[*row[:3].tolist(), *row[-3:].tolist()] for row in (*x[:3], *x[-3:])]


def _shapes(batch: Batch) -> list[list[int]]:
    return [list(tensor.shape) for tensor in batch]


def _as_whole_counts(model: str, stream: BatchStream) -> list[float]:
    """Return the model's published accuracies, each rounded to a whole number of targets."""
    targets = len(stream) * stream.bs * stream.bptt
    tables = published.tables()
    accuracies = tables.loc[tables["model"] == model, "accuracy"]
    return [round(round(accuracy * targets) / targets, 6) for accuracy in accuracies]
