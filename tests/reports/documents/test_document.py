"""What is no notebook, page or CSV is refused with one line; nothing in a file is executed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reports.documents import document, markup
from reports.documents.document import DocumentError, read_tables
from reports.documents.recognition import recognise
from tests.reports.documents import forms
from tests.reports.documents.forms import CODE, FIT, made_up

REFUSED = {
    "empty.ipynb": (b"", r"empty\.ipynb is not a notebook \(it is empty\): save it again"),
    "cut.ipynb": (b'{"cells": [{"cell_type": "co', r"is not a notebook \(it is not JSON"),
    "deep.ipynb": (b"[" * 1_000_000, r"is not a notebook \(it is nested too deeply\)"),
    "digits.ipynb": (b'{"cells": ' + b"9" * 5000 + b"}", r"is not a notebook"),
    "list.ipynb": (b"[1, 2]", r"is not a notebook \(it has no cells\)"),
    "sheets.ipynb": (b'{"worksheets": [1, {"cells": 4}]}', r"\(it has no cells\)"),
    "object.json": (b'{"a": 1}', r"object\.json is not a notebook"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"picture\.png is not text: name a notebook"),
    "table.csv": (b"PK\x03\x04\0\0epoch,train_loss", r"table\.csv is not text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    """The message is one line that names the file and says what is wrong."""
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentError, match=message) as caught:
        read_tables(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a pipe, a device, a missing or an oversized file is refused at once."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "nowhere.csv").symlink_to("missing.csv")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    (tmp_path / "huge.csv").write_text("x" * 101, encoding="utf-8")
    monkeypatch.setattr(document, "LARGEST", 100)
    names = ("", "pipe.csv", "loop.csv", "nowhere.csv", "missing.csv", "device.csv", "huge.csv")
    for name in names:
        with pytest.raises(DocumentError, match=r"^cannot read .*: name a"):
            read_tables(tmp_path / name)


def test_link(tmp_path: Path) -> None:
    """A link to a file is read: its owner has named it."""
    (tmp_path / "run.csv").write_text(forms.csv(made_up()), encoding="utf-8")
    (tmp_path / "link.csv").symlink_to("run.csv")
    (found,) = read_tables(tmp_path / "link.csv")
    assert found.source == "link.csv"


def test_many_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with more tables than anyone makes is refused."""
    monkeypatch.setattr(document, "MOST_TABLES", 3)
    one = "epoch,train_loss,valid_loss,accuracy\n0,1,2,0.5\n"
    (tmp_path / "a.csv").write_text(one * 3, encoding="utf-8")
    assert len(read_tables(tmp_path / "a.csv")) == 3
    (tmp_path / "a.csv").write_text(one * 4, encoding="utf-8")
    with pytest.raises(DocumentError, match="more than 3 training tables: split it"):
        read_tables(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "code",
    [
        "-" * 50_000 + "1",
        "a" + ".b" * 50_000,
        "(" * 5_000,
        "x = 9 ** 9 ** 9 ** 9",
        "\n".join(f"def f{n}():\n" + f"    f{n + 1}()\n" * 10 for n in range(12)) + "f0()",
        "class A(A):\n    pass\nlearn = Learner(data, A())\nlearn.fit_one_cycle(10, 1e-2)",
        "import os\nos.remove(__file__)\nraise SystemExit",
        f"{CODE.replace('(vocabulary, width)', '(0, [width])')}{FIT}\nx += 1; trainer = ~x; {FIT}",
    ],
    ids=["signs", "attributes", "parentheses", "powers", "calls", "bases", "commands", "sizes"],
)
def test_hostile_code(code: str, tmp_path: Path) -> None:
    """Code is read and not executed, whatever it is; its table is found all the same."""
    content = forms.notebook((code, [forms.shown(forms.html(made_up()))]))
    (tmp_path / "run.ipynb").write_text(content, encoding="utf-8")
    (found,) = read_tables(tmp_path / "run.ipynb")
    assert found.rows.equals(made_up())
    assert recognise(found).variant is None


@pytest.mark.parametrize("piece", ["<!--", "<!", "<?", "</", "<![CDATA[", "<a ", "<table>", "&#"])
def test_hostile_html(piece: str, tmp_path: Path) -> None:
    """Marks that nothing closes hide no table before them, and are no marks to the parser."""
    assert markup._closed(f"<p>a</p>{piece * 3}").count("<") <= 2 + 3 * (piece == "<table>")
    (tmp_path / "run.html").write_text(
        forms.html(made_up()) + piece * (1_000_000 // len(piece) // 20), encoding="utf-8"
    )
    (found,) = read_tables(tmp_path / "run.html")
    assert found.rows.equals(made_up())


def test_odd_notebook(tmp_path: Path) -> None:
    """Cells and outputs that are not what nbformat says are left out."""
    content = json.loads(forms.in_cell(forms.shown(forms.html(made_up()))))
    odd = [1, None, {"cell_type": ["code"]}, {"cell_type": "code", "source": 5, "outputs": {}}]
    content["cells"] += odd
    content["cells"][1]["outputs"] += [1, {"output_type": [], "data": [1], "text": {}}]
    content["cells"][1]["outputs"] += [{"output_type": "stream", "text": {"a": 1}}]
    (tmp_path / "run.ipynb").write_text(json.dumps(content), encoding="utf-8")
    (found,) = read_tables(tmp_path / "run.ipynb")
    assert found.rows.equals(made_up())


def test_names_are_one_line(tmp_path: Path) -> None:
    """A file's name and a model's name in it are shown as text on one line."""
    name = "::error::\x1b[31m\nrun.csv"
    (tmp_path / name).write_text(
        "model," + forms.csv(made_up()).replace("\n", "\n::m\x07\x1b,", 10), encoding="utf-8"
    )
    (found,) = read_tables(tmp_path / name)
    assert found.source.isprintable()
    assert not found.source.startswith("::")


def test_unknown_suffix(tmp_path: Path) -> None:
    """A file of another suffix is read by its content."""
    table = forms.html(made_up())
    for name, content in {
        "run": forms.csv(made_up()),
        "run.log": forms.text(made_up()),
        "run.json": forms.in_cell(forms.shown(table)),
        "run.xml": table,
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        (found,) = read_tables(tmp_path / name)
        assert found.rows.equals(made_up()), name


def test_encoding_of_windows(tmp_path: Path) -> None:
    """Text that is not UTF-8 is read as Windows writes it."""
    (tmp_path / "run.txt").write_bytes(f"Übung\n{forms.text(made_up())}".encode("cp1252"))
    (found,) = read_tables(tmp_path / "run.txt")
    assert found.rows.equals(made_up())


def test_code_of_a_table(tmp_path: Path) -> None:
    """The code ends with the call that printed the table, and has the cells that ran before.

    Cells ran in the order of their counts; one that is no Python is left out.
    """
    two = f"{FIT}\ntrainer.fit_one_cycle(3, 1e-3)\nprint('done')"
    tables = [forms.shown(forms.html(made_up())), forms.shown(forms.html(made_up().head(3)))]
    runs = [(two, tables), (f"%matplotlib inline\n{CODE}", []), ("%%bash\necho a b", []), ("z", [])]
    (tmp_path / "run.ipynb").write_text(
        forms.notebook(*runs, counts=(5, 3, 4, 9)), encoding="utf-8"
    )
    first, second = read_tables(tmp_path / "run.ipynb")
    assert first.source == "run.ipynb, cell 2, table 1 of 2"
    assert first.code == f"%matplotlib inline\n{CODE}\n\n{FIT}"
    assert second.code == f"{first.code}\ntrainer.fit_one_cycle(3, 1e-3)"


def test_cell_that_does_not_train(tmp_path: Path) -> None:
    """A table is not put down to a training call of an earlier cell."""
    outputs = [forms.shown(forms.html(made_up()))]
    cells = [(CODE + FIT, outputs), ("imported_from_elsewhere(trainer)", outputs)]
    (tmp_path / "run.ipynb").write_text(forms.notebook(*cells), encoding="utf-8")
    first, second = read_tables(tmp_path / "run.ipynb")
    assert (bool(first.code), second.code) == (True, "")


def test_cell_that_calls_a_function(tmp_path: Path) -> None:
    """A function of an earlier cell trains where it is called."""
    function = "def run(epochs):\n    trainer.fit_one_cycle(epochs, max_lr=1e-2)"
    outputs = [forms.shown(forms.html(made_up()))]
    content = forms.notebook((CODE, []), (function, []), ("run(10)", outputs))
    (tmp_path / "run.ipynb").write_text(content, encoding="utf-8")
    (found,) = read_tables(tmp_path / "run.ipynb")
    assert recognise(found).variant == "Model5"
