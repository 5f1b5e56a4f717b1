"""``python -m reports render``: a results folder's runs beside the notebook's tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.store import Store, StoreError
from hnrnn import published
from hnrnn.arguments import Parser
from hnrnn.variants import VARIANTS


class OutputError(Exception):
    """The output folder cannot be used, with what would be right."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 where a folder cannot be read or written."""
    parser = Parser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    render_parser = commands.add_parser(
        "render", help="write report.md and one PNG per model from the stored runs"
    )
    render_parser.add_argument(
        "--results", default="results", metavar="DIR", help="what bench run wrote; default: results"
    )
    render_parser.add_argument(
        "--output", metavar="DIR", help="where to write; default: report in the results folder"
    )
    options = parser.parse_args(arguments)
    results = Path(options.results)
    output = results / "report" if options.output is None else Path(options.output)
    try:
        paths = render(results, output)
    except (StoreError, OutputError) as error:
        print(f"python -m reports render: {error}", file=sys.stderr)
        return 2
    print(f"{paths[0]} and {len(paths) - 1} figures written")
    return 0


def render(results: Path, output: Path) -> list[Path]:
    """Write ``report.md``, ``overview.png`` and a PNG a variant; return their paths.

    Raises StoreError where ``results`` is not a store, OutputError where ``output`` cannot be
    written.
    """
    contents = Store(results).read()
    if output.exists() and not output.is_dir():
        raise OutputError(f"output folder {output} is a file: name a folder")
    from reports import figures, markdown  # loads matplotlib
    from reports.comparison import compare
    from reports.ratios import latest, ratios
    from reports.selection import select

    selection = select(contents)
    tables = published.tables()
    comparisons = compare(selection.epochs, tables)
    report = output / "report.md"
    pages = {name: output / f"{name}.png" for name in ("overview", *VARIANTS)}
    measured = ratios(latest(selection.throughput))
    if measured:
        pages["backends"] = output / "backends.png"
    try:
        output.mkdir(parents=True, exist_ok=True)
        report.write_text(markdown.report(selection, comparisons, tables), encoding="utf-8")
        for name, path in pages.items():
            if name in VARIANTS:
                figure = figures.curves(name, selection.epochs, tables)
            elif name == "backends":
                figure = figures.backends(measured)
            else:
                figure = figures.overview(selection.epochs, tables)
            figures.save(figure, path)
    except OSError as error:
        raise OutputError(
            f"cannot write to {output} ({error.strerror}): name a folder that you may write to"
        ) from error
    return [report, *pages.values()]


if __name__ == "__main__":
    sys.exit(main())
