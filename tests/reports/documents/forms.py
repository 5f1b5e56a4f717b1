"""One made-up training table in the forms in which people keep such tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from hnrnn.published import MEASURES, reference_runs

HEADER = ("epoch", "train_loss", "valid_loss", "accuracy", "time")
CODE = """\
bs, width = 64, 64
batches = corpus.databunch(bs=bs, bptt=20)

class Flat(nn.BatchNorm1d):
    def forward(self, values):
        return super().forward(values.flatten(0, 1)).view_as(values)

class Counting(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.gates = nn.GRU(width, width, layers, batch_first=True)
        self.scores = nn.Linear(width, vocabulary)
        self.norm = Flat(width)
        self.state = torch.zeros(layers, bs, width)

    def forward(self, words):
        found, state = self.gates(self.embed(words), self.state)
        self.state = state.detach()
        return self.scores(self.norm(found))

trainer = Learner(batches, Counting(), metrics=accuracy)
"""
FIT = "trainer.fit_one_cycle(10, 1e-2)"


def made_up(variant: str = "Model5", seed: int = 7) -> pd.DataFrame:
    """Return a table of that variant as it is printed: a run of fastai 1.0.61, to six digits."""
    rows = _runs().loc[("ones", variant, seed)].reset_index(drop=True)
    return rows[["epoch", *MEASURES]].round(6).astype({"epoch": "int64"})


@cache
def _runs() -> pd.DataFrame:
    return reference_runs().set_index(["initialisation", "variant", "seed"]).sort_index()


def cells(table: pd.DataFrame, start: int = 0) -> list[list[str]]:
    """Return the rows as fastai prints them, with a time."""
    return [
        [str(int(epoch) + start), *(f"{value:.6f}" for value in values), f"00:{int(epoch) + 1:02}"]
        for epoch, *values in table.itertuples(index=False)
    ]


def text(table: pd.DataFrame, header: Sequence[str] = HEADER, start: int = 0) -> str:
    """Return the table as fastai 1 prints it to a terminal."""
    lines = [header, *cells(table, start)]
    return "\n".join("".join(f"{cell:<12}" for cell in line) for line in lines) + "\n"


def html(table: pd.DataFrame, header: Sequence[str] = HEADER) -> str:
    """Return the table as fastai shows it in a notebook."""
    head = "".join(f"      <th>{name}</th>\n" for name in header)
    body = "".join(
        "    <tr>\n" + "".join(f"      <td>{cell}</td>\n" for cell in row) + "    </tr>\n"
        for row in cells(table)
    )
    return (
        '<table border="1" class="dataframe">\n  <thead>\n    <tr style="text-align: left;">\n'
        f"{head}    </tr>\n  </thead>\n  <tbody>\n{body}  </tbody>\n</table>"
    )


def first_html(table: pd.DataFrame) -> str:
    """Return the table as the first fastai 1 shows it: headings only, epochs from 1, no times."""
    rows = [HEADER[:4], *(row[:4] for row in cells(table, start=1))]
    body = "".join(
        "  <tr>\n" + "".join(f"    <th>{cell}</th>\n" for cell in row) + "  </tr>\n" for row in rows
    )
    style = "style='width:300px; margin-bottom:10px'"
    return f"Total time: 00:12 <p><table {style}>\n{body}</table>\n"


def second_html(table: pd.DataFrame, done: str = "") -> str:
    """Return the table as fastai 2 shows it, with what an interrupted progress bar leaves."""
    bar = "<progress value='3' class='' max='10' style='width:300px;'></progress>"
    style = "<style>\n    .progress-bar-interrupted { background: red }\n</style>"
    left = f"<div>\n  {bar}\n  {done}\n</div>\n" if done else ""
    return f"\n{style}\n{left}{html(table)}<p>\n{left}"


def csv(table: pd.DataFrame, delimiter: str = ",", point: str = ".") -> str:
    """Return the table as CSV."""
    rows = [[cell.replace(".", point) for cell in row] for row in cells(table)]
    return "\n".join(delimiter.join(row) for row in [HEADER, *rows]) + "\n"


def markdown(table: pd.DataFrame) -> str:
    """Return a markdown page with code and a table of pipes, its last row in bold."""
    rows = cells(table)
    rows[-1] = [f"**{cell}**" for cell in rows[-1]]
    lines = [HEADER, [":--", "--:", ":-:", "---", "---"], *rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    code = f"```python\n{CODE}{FIT}\n```"
    return f"# A run\n\nThe model:\n\n{code}\n\nIt counts:\n\n{body}\n\nThe end.\n"


def page(table: pd.DataFrame) -> str:
    """Return a page as nbconvert exports it: highlighted code, and an output in nested boxes."""
    code = f"{CODE}{FIT}".replace("=", '<span class="o">=</span>').replace("1e-2", "<i>1e-2</i>")
    return (
        "<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>run</title><style>td { }</style>"
        "<script>if (1 < 2) { table = '<table>' }</script></head>\n<body><main>"
        '<div class="jp-Cell"><div class="jp-InputPrompt">In&nbsp;[3]:</div>'
        f'<div class="highlight hl-ipython3"><pre><span></span>{code}\n</pre></div></div>'
        f'<div class="output_html rendered_html output_subarea">{second_html(table)}</div>'
        "</main></body></html>"
    )


def shown(content: str, form: str = "text/html") -> dict[str, Any]:
    """Return an output of a notebook that shows ``content``, as a list of lines."""
    data = {form: content.splitlines(keepends=True)}
    plain = {} if form == "text/plain" else {"text/plain": ["<IPython.core.display.HTML object>"]}
    return {"output_type": "display_data", "metadata": {}, "data": data | plain}


def printed(content: str, name: str = "stdout") -> dict[str, Any]:
    """Return an output of a notebook that was printed."""
    return {"output_type": "stream", "name": name, "text": content}


def notebook(*runs: tuple[str, list[dict[str, Any]]], counts: Sequence[int | None] = ()) -> str:
    """Return a notebook, nbformat 4, with a cell of text and one for each code and outputs."""
    made: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": "# Runs"}]
    for place, (code, outputs) in enumerate(runs):
        count = counts[place] if counts else place + 1
        cell = {"cell_type": "code", "execution_count": count, "metadata": {}}
        made.append(cell | {"source": code.splitlines(keepends=True), "outputs": outputs})
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made})


def old_notebook(*runs: tuple[str, str]) -> str:
    """Return a notebook, nbformat 3, with one cell for each code and HTML output."""
    made = [
        {
            "cell_type": "code",
            "prompt_number": place,
            "language": "python",
            "input": code.splitlines(keepends=True),
            "outputs": [{"output_type": "display_data", "html": [output], "text": ["<HTML>"]}],
        }
        for place, (code, output) in enumerate(runs, start=1)
    ]
    return json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": made}]})


@dataclass(frozen=True)
class Form:
    """A file of an odd form: its suffix, how it is made of a table, and what is lost in it."""

    suffix: str
    make: Callable[[pd.DataFrame], str]
    encoding: str = "utf-8"
    lost: str = ""
    """The column that the file does not have."""


def in_cell(*outputs: dict[str, Any]) -> str:
    """Return a notebook of one cell with the made-up code."""
    return notebook((CODE + FIT, list(outputs)))


def _lists(table: pd.DataFrame, mark: str = "") -> str:
    rows = [[*row[:4], f"'{row[4]}'"] for row in cells(table)]
    return "".join(f"{mark}[{', '.join(row)}]\n" for row in rows)


def _overwritten(table: pd.DataFrame) -> str:
    bars = "\r 10.00% [1/10 00:01<00:09]\r 90.00% [9/10 00:09<00:01]\r"
    head, *rows = text(table).splitlines()
    return f"{bars}{head}\n" + "".join(f"{bars}{row}{bars}\n" for row in rows)


def _coloured(table: pd.DataFrame) -> str:
    return "".join(f"\x1b[1;32m{line}\x1b[0m\n" for line in text(table).splitlines())


def _pieces(table: pd.DataFrame) -> str:
    whole = text(table)
    parts = [printed(whole[start : start + 37]) for start in range(0, len(whole), 37)]
    return in_cell(*parts[:3], printed("UserWarning: slow\n", "stderr"), *parts[3:])


def _growing(table: pd.DataFrame) -> str:
    return in_cell(*(shown(html(table.head(count))) for count in (1, 4, 10)))


def _indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("epoch")


FORMS = {
    "fastai 1, in a notebook": Form(".ipynb", lambda t: in_cell(shown(html(t)))),
    "fastai 1, printed": Form(".ipynb", lambda t: in_cell(printed(text(t)))),
    "the first fastai 1": Form(".ipynb", lambda t: in_cell(shown(first_html(t)))),
    "fastai 2": Form(".ipynb", lambda t: in_cell(shown(second_html(t)))),
    "fastai 2, without bars": Form(".ipynb", lambda t: in_cell(printed(_lists(t)))),
    "fastai 2, as lists with lengths": Form(".txt", lambda t: _lists(t, "(#5) ")),
    "nbformat 3": Form(".ipynb", lambda t: old_notebook((CODE + FIT, html(t)))),
    "progress left over": Form(
        ".ipynb",
        lambda t: in_cell(
            shown(second_html(t, "0.00% [0/10 00:00&lt;00:00]")), shown("<progress></progress>")
        ),
    ),
    "every state of an output": Form(".ipynb", _growing),
    "a stream in pieces": Form(".ipynb", _pieces),
    "a stream that is overwritten": Form(".ipynb", lambda t: in_cell(printed(_overwritten(t)))),
    "a stream in colour": Form(".txt", _coloured),
    "HTML that is escaped": Form(
        ".ipynb", lambda t: in_cell(shown(html(t))).replace("<", "\\u003c").replace("/", "\\/")
    ),
    "Markdown in a notebook": Form(
        ".ipynb", lambda t: in_cell(shown(markdown(t).split("counts:")[1], "text/markdown"))
    ),
    "acc4": Form(".txt", lambda t: text(t, (*HEADER[:3], "acc4", "time"))),
    "accuracy_of_last": Form(
        ".ipynb", lambda t: in_cell(shown(html(t, (*HEADER[:3], "accuracy_of_last", "time"))))
    ),
    "a metric of one's own": Form(
        ".html", lambda t: html(t, (*HEADER[:3], "my_acc_metric", "time"))
    ),
    "times with hours": Form(".txt", lambda t: text(t).replace("00:", "1:02:")),
    "no times": Form(".txt", lambda t: "\n".join(line[:48] for line in text(t).splitlines())),
    "epochs from 1": Form(".txt", lambda t: text(t, start=1)),
    "CSV": Form(".csv", csv),
    "CSV of a language with decimal commas": Form(".csv", lambda t: csv(t, ";", ",")),
    "CSV with quoted decimal commas": Form(
        ".csv", lambda t: csv(t, '","', ",").replace("\n", '"\n"').rstrip('"').join(['"', ""])
    ),
    "CSV of Windows": Form(".csv", lambda t: csv(t).replace("\n", "\r\n"), "utf-8-sig"),
    "CSV of Excel": Form(".csv", lambda t: csv(t, "\t"), "utf-16"),
    "tabs": Form(".tsv", lambda t: csv(t, "\t")),
    "pandas' to_csv": Form(".csv", lambda t: t.to_csv()),
    "pandas' to_csv by epoch": Form(".csv", lambda t: _indexed(t).to_csv()),
    "pandas' to_csv of the values": Form(".csv", lambda t: t[list(MEASURES)].to_csv()),
    "pandas' to_string": Form(".txt", lambda t: t.to_string()),
    "pandas' to_html": Form(".html", lambda t: t.to_html()),
    "pandas' to_html by epoch": Form(".html", lambda t: _indexed(t).to_html()),
    "pipes, printed": Form(
        ".txt",
        lambda t: "| " + t.to_csv(index=False).strip().replace(",", " | ").replace("\n", " |\n| "),
    ),
    "a markdown page": Form(".md", markdown),
    "a markdown page with HTML": Form(".markdown", lambda t: f"# Run\n\n{html(t)}\n"),
    "a markdown page with text": Form(
        ".md", lambda t: "Run:\n\n" + "".join(f"    {line}\n" for line in text(t).splitlines())
    ),
    "an exported page": Form(".html", page),
    "a page without end tags": Form(
        ".htm", lambda t: html(t).replace("</td>", "").replace("</tr>", "").replace("</th>", "")
    ),
    "a notebook as text": Form(
        ".txt",
        lambda t: f"In [1]:\n{CODE}\nIn [2]:\n{FIT}\n\n{csv(t)}\nIt counts better now: 2 of 3.\n",
    ),
    "a table without accuracy": Form(
        ".csv", lambda t: t.drop(columns="accuracy").to_csv(index=False), lost="accuracy"
    ),
}
