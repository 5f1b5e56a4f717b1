"""``python docs/generate.py``: write the pages that follow from the code and the published results.

Into ``docs/_generated``: the options of every command, from the parsers; the columns of every
table, from the schemas; and the published reports, with their pictures.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "docs" / "_generated"
PUBLISHED = ROOT / "reports" / "published"
sys.path.insert(0, str(ROOT))

import pyarrow as pa

import bench.__main__
import hnrnn.__main__
import reports.__main__
import reports.ci.__main__
from bench.store import records, schemas

PARSERS = (
    hnrnn.__main__.make_parser,
    bench.__main__.make_parser,
    reports.__main__.make_parser,
    reports.ci.__main__.make_parser,
)
TABLES = {
    "runs": schemas.RUNS_SCHEMA,
    "epochs": schemas.EPOCHS_SCHEMA,
    "throughput": schemas.THROUGHPUT_SCHEMA,
}

MEANINGS = {
    "run_id": "a hash of everything that determines the result",
    "variant": "`Model0` to `Model7`",
    "backend": "how the training is executed",
    "seed": "what fixes the initial weights",
    "dtype": "`float32` or `float64`",
    "initialisation": "where BatchNorm weights start: `ones` or `uniform`",
    "device": "`cpu` or `cuda`",
    "epochs": "the epochs that were asked for",
    "device_name": "the model of the processor or GPU",
    "threads": "CPU threads",
    "deterministic_algorithms": "whether torch was limited to these",
    "tf32": "whether products were allowed in TF32",
    "data_sha256": "a hash of the corpus",
    "source_sha256": "a hash of what the training code means",
    "package_version": "hnrnn's",
    "commit": "the git commit of the checkout",
    "dirty": "whether its code differed from the commit",
    "driver_version": "of the GPU",
    "status": "how it ended; see above",
    "error": "why it failed or was skipped",
    "started_at": "when it started",
    "ended_at": "when it ended",
    "total_seconds": "from start to end, preparation included",
    "train_seconds": "in training",
    "valid_seconds": "in validation",
    "train_tokens_per_second": "input tokens per second of training",
    "initial_weights_sha256": "a hash of the weights before training",
    "weights_sha256": "a hash of the weights after training",
    "bptt": "tokens per row of a batch",
    "recipe_epochs": "the epochs of the full recipe",
    "learning_rate": "the peak of the one-cycle schedule",
    "pct_start": "the share of batches over which the learning rate rises",
    "loss": "the loss function's name",
    "metric": "the metric's name",
    "epoch_rows": "rows of the run in `epochs`",
    "epoch": "from 0",
    "train_loss": "smoothed",
    "accuracy": "the share of tokens predicted correctly",
    "measurement_id": "one call of `bench throughput`",
    "phase": "`train_step`, `forward` or `validation`",
    "first_call_seconds": "of the first call, compilation included",
    "parity_float32": "the same in float32",
    "parity_tf32": "the same in TF32",
    "round": "from 0; in each round every backend has one block",
    "steps": "in the block",
    "tokens": "in the block",
    "wall_seconds": "of the block",
}
"""What a column means, for those whose field in a record has no docstring."""


def commands() -> str:
    """Return every command with its options, in markdown."""
    return "\n".join(line for make in PARSERS for line in _command(make(), level=3))


def _command(parser: argparse.ArgumentParser, level: int, help_text: str = "") -> Iterator[str]:
    # argparse offers no public way to list a parser's actions or to expand their help.
    formatter = parser._get_formatter()  # noqa: SLF001
    yield f"{'#' * level} `{parser.prog}`\n"
    text = " ".join((parser.description or help_text).split()).removeprefix(f"``{parser.prog}``: ")
    yield f"{_as_markdown(text[:1].upper() + text[1:]).rstrip('.')}.\n"
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield from _command(command, level + 1, helps.get(name) or "")
        elif not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            values = formatter._format_args(action, action.dest.upper())  # noqa: SLF001
            required = "required; " if action.required else ""
            yield f"`{' '.join([*action.option_strings, values]).strip()}`"
            yield f": {required}{_as_markdown(formatter._expand_help(action))}\n"  # noqa: SLF001


def _as_markdown(text: str) -> str:
    """Return a help text with what markdown would read as markup escaped, but for code."""
    return "".join(f"\\{c}" if c in "*_<>[]" else c for c in text).replace("``", "`")


def columns(table: str) -> str:
    """Return the columns of a table of the store, in markdown."""
    meanings = _meanings()
    lines = ["| column | type | meaning |", "| :-- | :-- | :-- |"]
    for field in TABLES[table]:
        kind = "timestamp, UTC" if pa.types.is_timestamp(field.type) else str(field.type)
        kind += " or null" if field.nullable else ""
        lines.append(f"| `{field.name}` | {kind} | {meanings.get(field.name, '')} |")
    return "\n".join(lines)


def _meanings() -> dict[str, str]:
    """Return what a column means, by its name; the docstring below a record's field comes first."""
    found = dict(MEANINGS)
    for node in ast.walk(ast.parse(Path(records.__file__).read_text(encoding="utf-8"))):
        body = node.body if isinstance(node, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                words = " ".join(ast.literal_eval(text.value).split())
                found[ast.unparse(field.target)] = words.replace("``", "`")
    return found


def main() -> None:
    """Write everything."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    (GENERATED / "commands.md").write_text(commands(), encoding="utf-8")
    for table in TABLES:
        (GENERATED / f"{table}.md").write_text(columns(table), encoding="utf-8")
    for pattern in ("*/report/*.png", "*/report/report.md", "*/timing/README.md"):
        for path in PUBLISHED.glob(pattern):
            copy = GENERATED / "published" / path.relative_to(PUBLISHED)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


if __name__ == "__main__":
    main()
