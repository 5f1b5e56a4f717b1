"""``python -m reports``: a results folder's runs shown beside the notebook's, and judged."""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-reports", "reports"))  # before the imports that take seconds

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.store.files import write_whole
from bench.store.store import Contents, Store, StoreError
from bench.text import one_line
from hnrnn import published
from hnrnn.program import show
from reports.commands.options import make_parser
from reports.history import nights as history
from reports.history.past import Past, last_night, read_past
from reports.pages import machine as verdict
from reports.pages import verdict_section
from reports.runs.comparison import compare
from reports.runs.completeness import Problem, find_problems
from reports.runs.ratios import latest, ratios
from reports.runs.reading import diverged_squares, read, read_baseline
from reports.runs.selection import Selection, epochs_started, select
from reports.verdict.findings import FindingsError, read_findings
from reports.verdict.gates import LastNight
from reports.verdict.judgement import Evidence, Judgement, judge


class UsageError(Exception):
    """An argument that cannot be served, with what would be right."""


class OutputError(Exception):
    """The output folder cannot be used, with what would be right."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    ``render`` and ``baseline`` return 0; ``check`` 0 agrees, 1 regressed or differs, 3 incomplete
    or corrupt data, 4 inconclusive; all return 2 for wrong usage. An error that nobody expected is
    raised: ``hnrnn.program`` gives it an exit code that no verdict has.
    """
    parser = make_parser(__doc__)
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (StoreError, OutputError, FindingsError, UsageError) as error:
        print(f"{parser.prog} {options.command}: {one_line(error)}", file=sys.stderr)
        return 2


def _output(options: argparse.Namespace) -> Path:
    output: Path | None = options.output
    return options.results / "report" if output is None else output


def _evidence(options: argparse.Namespace) -> Evidence:
    """Read everything that a night is judged by."""
    fresh: Path = options.confirmation or options.results / "confirmation"
    there = options.confirmation is not None or fresh.is_dir()
    if options.baseline is not None and not options.baseline.is_dir():
        raise UsageError(
            f"no baseline {options.baseline}: "
            f"`python -m reports baseline freeze --output {options.baseline}` makes one"
        )
    findings = read_findings(*[options.findings] if options.findings else [])
    night = read(options.results)
    return Evidence(
        night=night,
        baseline=options.baseline and read_baseline(options.baseline, options.results, night),
        confirmation=read(fresh) if there else None,
        confirmation_folder=str(fresh),
        findings=tuple(findings),
        strict=options.strict,
        last=None if options.no_baseline else _last_night(options.history, night),
    )


def _last_night(folder: Path | None, night: Contents) -> LastNight | None:
    """Return what ran on the night before, as a history knows it; None without one."""
    if folder is None:
        return None
    nights, unreadable = history.read(folder)
    for name, reason in unreadable.items():
        print(one_line(f"{folder / name} cannot be read: {reason}"), file=sys.stderr)
    return last_night(nights, night.runs["started_at"].min())


def render_report(options: argparse.Namespace) -> int:
    """Carry out ``reports render``."""
    evidence = _evidence(options)
    past = None
    if options.history is not None:
        past = read_past(options.history, evidence.baseline)
    paths = render(evidence, _output(options), past)
    print(f"{one_line(paths[0])}, report.html, summary.md and {len(paths) - 3} pictures written")
    return 0


def check(options: argparse.Namespace) -> int:
    """Carry out ``reports check``; see ``main`` for what is returned."""
    evidence = _evidence(options)
    night, judgement = select(evidence.night), judge(evidence)
    if options.history is not None:
        _remember(options.history, night, judgement)
    output = _output(options)
    files = {
        "verdict.json": verdict.as_json(judgement),
        "verdict.xml": verdict.as_junit(judgement),
        "verdict.md": verdict_section.as_markdown(judgement),
    }
    _write(output, files)
    reasons = "".join(f"\n  {one_line(reason)}" for reason in judgement.reasons)
    print(f"{judgement.verdict}:{reasons}")
    print("gates:" + "".join(f"\n  {one_line(gate)}" for gate in judgement.gates))
    for note in (*night.left_out, *judgement.notes):
        print(one_line(note), file=sys.stderr)
    if judgement.confirmation_seeds:
        print(f"to confirm or clear it:\n  {verdict_section.confirmation_command(judgement)}")
    print(f"{one_line(output / 'verdict.md')} written", file=sys.stderr)
    return judgement.exit_code


def _remember(folder: Path, night: Selection, judgement: Judgement) -> None:
    try:
        path = history.append(folder, history.summarise(night, judgement))
    except ValueError as error:
        raise UsageError(f"nothing to append to history {folder}: {error}") from error
    print(f"{one_line(path)} appended", file=sys.stderr)


def plan(options: argparse.Namespace) -> int:
    """Carry out ``reports power``."""
    from reports.verdict.seeds import as_text, plan_seeds

    plans = plan_seeds(select(read(options.results)).grid, options.drop / 100, options.power)
    if not plans:
        raise UsageError(
            f"{options.results} has no square with two runs of the full recipe: "
            "`python -m bench run` makes some"
        )
    return show(as_text(plans, options.drop / 100, options.power))


def prove(options: argparse.Namespace) -> int:
    """Carry out ``reports prove``."""
    from reports.verdict import calibration as proof
    from reports.verdict import rates

    try:
        pool = proof.whole_seeds(read(options.results))
    except ValueError as error:
        raise UsageError(f"{options.results}: {error}: `python -m bench run` makes some") from error
    nulls = proof.null_nights(
        pool,
        baselines=options.baselines,
        nights=options.nights,
        baseline_seeds=options.baseline_seeds,
        night_seeds=options.seeds,
    )
    files = {rates.NULLS: nulls.to_csv(index=False)}
    for what, rate in zip(("suspected", "failed"), rates.false_alarms(nulls), strict=True):
        print(f"nights without a change that were {what}: {rate}")
    if options.planted is not None:
        planted = read(options.planted)
        most = int(planted.runs.groupby("plant")["seed"].nunique().min()) // 2
        if most < 2:
            raise UsageError(f"{options.planted}: each fault needs 4 seeds or more, to confirm it")
        faults = proof.detect_faults(
            pool,
            planted,
            baseline_seeds=options.baseline_seeds,
            night_seeds=sorted({max(2, most // 2), most}),
            nights=options.nights,
        )
        files[rates.FAULTS] = faults.to_csv(index=False)
        for plant, variants, seeds, noticed, failed in rates.rates_by_fault(faults):
            print(f"{plant} in {variants}, {seeds} seeds: noticed {noticed}, failed {failed}")
    _write(options.output, files)
    return 0


def freeze_baseline(options: argparse.Namespace) -> int:
    """Carry out ``reports baseline freeze``."""
    contents = read(options.results)
    problems = find_problems(contents)
    problems += [
        Problem("injected fault", f"every run was trained with {fault}")
        for fault in select(contents).runs["plant"].dropna().unique()
    ]
    problems += [
        Problem("diverged", f"every run of {square} diverged: nothing would be worse than that")
        for square in diverged_squares(contents.runs)
    ]
    if problems:
        raise UsageError(
            f"{options.results} cannot be a baseline ({'; '.join(map(str, problems[:5]))}"
            f"{'; ...' if len(problems) > 5 else ''}): complete it with `python -m bench run` first"
        )
    frozen = Store(options.results).compact(options.output)
    print(f"{one_line(frozen)} frozen", file=sys.stderr)
    return 0


def _write(output: Path, files: Mapping[str, str]) -> None:
    try:
        if output.exists() and not output.is_dir():
            raise OutputError(f"output folder {output} is a file: name a folder")
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(output / name, text.encode())
    except OSError as error:
        raise OutputError(
            f"cannot write to {output} ({error.strerror}): name a folder that you may write to"
        ) from error


def render(evidence: Evidence, output: Path, past: Past | None = None) -> list[Path]:
    """Write ``report.md``, ``report.html``, ``summary.md`` and the pictures; return their paths.

    Raises OutputError where ``output`` cannot be written.
    """
    from reports.pages import (
        html,
        pictures,  # loads matplotlib
    )
    from reports.pages import report as markdown

    if output.exists() and not output.is_dir():
        raise OutputError(f"output folder {output} is a file: name a folder")
    selection, tables = select(evidence.night), published.tables()
    material = markdown.Material(
        selection=selection,
        comparisons=compare(selection.epochs, tables),
        tables=tables,
        field=published.field_runs(),
        judgement=judge(evidence),
        ratios=ratios(latest(selection.throughput)),
        uniform=epochs_started(evidence.night, "uniform"),
        past=past,
    )
    text = markdown.report(material)
    try:
        output.mkdir(parents=True, exist_ok=True)
        paths = pictures.draw(material, output)
    except OSError as error:
        raise OutputError(
            f"cannot write to {output} ({error.strerror}): name a folder that you may write to"
        ) from error
    pages = {"report.md": text, "report.html": html.page(text, output)}
    pages["summary.md"] = markdown.summary(material)
    _write(output, pages)
    return [*(output / name for name in pages), *paths]


COMMANDS = {
    "render": render_report,
    "check": check,
    "power": plan,
    "prove": prove,
    "baseline": freeze_baseline,
}

if __name__ == "__main__":
    sys.exit(main())
