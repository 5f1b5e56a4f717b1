"""``reports render``: the report's pages and pictures."""

from __future__ import annotations

import argparse

from bench.text import one_line
from hnrnn import published
from hnrnn.arguments import Parser
from reports.commands.evidence import OPTIONS, add_evidence, read_evidence
from reports.commands.options import Commands, add_output, add_results
from reports.commands.output import write_files, writing_into
from reports.history.past import read_past
from reports.runs.comparison import compare
from reports.runs.ratios import latest, ratios
from reports.verdict.judgement import judge
from reports.verdict.same_computation import held_runs


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    render = commands.add_parser(
        "render",
        help="write report.md, report.html, summary.md and the pictures",
        description="Write report.md, report.html, summary.md and the pictures of the stored runs.",
    )
    add_results(render)
    add_evidence(render)
    add_output(render)
    render.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports render``."""
    from reports.pages import html, material, pictures, report  # loads matplotlib

    evidence = read_evidence(**{name: getattr(options, name) for name in OPTIONS})
    output = options.output or options.results / "report"
    history, night, tables = options.history, evidence.night, published.tables()
    shown = material.Material(
        night=night,
        comparisons=compare(night.selection.epochs, tables),
        tables=tables,
        third_party=published.third_party_runs(),
        judgement=judge(evidence),
        cells=held_runs(night).cells,
        ratios=ratios(latest(night.selection.throughput)),
        past=None if history is None else read_past(history, evidence.baseline),
    )
    pages = {"report.md": report.report(shown), "summary.md": report.summary(shown)}
    with writing_into(output):
        paths = pictures.draw(shown, output)
    pages["report.html"] = html.page(pages["report.md"], output)
    write_files(output, pages)
    first = one_line(output / "report.md")
    print(f"{first}, report.html, summary.md and {len(paths)} pictures written")
    return 0
