"""``reports baseline``: keep a night as the baseline of later ones, as it is or with a reason."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import StoreError
from bench.store.files import write_whole
from bench.store.store import Store
from bench.text import one_line
from hnrnn.arguments import Parser, output_folder
from reports.commands.errors import UnwrittenError, UsageError
from reports.commands.options import Commands, add_results
from reports.history.nights import start_of
from reports.history.shifts import Shift, record
from reports.runs import frozen
from reports.runs.completeness import freezing_problems, ranges
from reports.runs.night import Night, configurations_of, is_in
from reports.runs.reading import read, read_with_baseline
from reports.verdict import against_baseline
from reports.verdict.acceptance import Acceptance
from reports.verdict.against_baseline import AgainstBaseline
from reports.verdict.decision import changes_in_words
from reports.verdict.same_computation import compare


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    baseline = commands.add_parser(
        "baseline", help="freeze a night as the baseline of later ones, or accept a change in it"
    )
    actions = baseline.add_subparsers(dest="action", required=True, parser_class=Parser)
    freezing = actions.add_parser(
        "freeze",
        help="copy a complete night as the baseline of later ones",
        description="Copy a complete and sound results folder, as one file per table.",
    )
    add_results(freezing)
    freezing.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="a new folder"
    )
    freezing.set_defaults(carry_out=freeze)
    accepting = actions.add_parser(
        "accept",
        help="replace the baseline by a night with an intended change, and say why",
        description="Replace a baseline by a complete night, although the night departs from it or "
        "from the reference runs. The reason and the configurations that depart are kept with it: "
        "later nights are held to the new baseline where they depart from the reference.",
    )
    add_results(accepting)
    accepting.add_argument(
        "--baseline", required=True, type=output_folder, metavar="DIR",
        help="the baseline to replace, or a new folder",
    )  # fmt: skip
    accepting.add_argument("--reason", required=True, metavar="TEXT", help="why it is intended")
    accepting.add_argument(
        "--history", type=output_folder, metavar="DIR",
        help="summaries of all nights: the change is added, and drift is tested from there on",
    )  # fmt: skip
    accepting.set_defaults(carry_out=accept)


def freeze(options: argparse.Namespace) -> int:
    """Carry out ``reports baseline freeze``."""
    night = Night.of(read(options.results))
    _refuse_unsound(options.results, night)
    if departing := _departing(night):
        raise UsageError(
            f"{options.results} departs from the reference runs of its seeds "
            f"({', '.join(departing)}): if the change is intended, use "
            "`python -m reports baseline accept`"
        )
    if other := _other_file(options.output):
        raise UsageError(
            f"{options.output} is not new, because it holds {other}: name a new folder"
        )
    _copy(options.results, options.output)
    print(f"{one_line(options.output)} frozen", file=sys.stderr)
    return 0


def accept(options: argparse.Namespace) -> int:
    """Carry out ``reports baseline accept``."""
    results, baseline, reason = options.results, options.baseline, one_line(options.reason).strip()
    if not reason:
        raise UsageError("--reason is empty: say why the change is intended")
    shift = _examine(results, baseline, reason)
    acceptance = shift.acceptance
    for line in acceptance.lines():
        print(one_line(line), file=sys.stderr)
    new = frozen.new_beside(baseline)
    try:
        frozen.repair(baseline)
        _copy(results, new)
        write_whole(new / frozen.ACCEPTED, acceptance.as_json().encode())
        frozen.complete(new, throughput=_is_timed(results))
        frozen.swap(baseline)
    except frozen.NotWholeError as error:
        raise StoreError(f"the new baseline is not whole ({error}): accept it again") from error
    except OSError as error:
        raise UnwrittenError(baseline, error) from error
    if options.history is not None:
        try:
            print(f"{one_line(record(options.history, shift))} written", file=sys.stderr)
        except OSError as error:
            raise UnwrittenError(options.history, error) from error
    print(f"{one_line(baseline)} accepted: {reason}", file=sys.stderr)
    return 0


def _copy(results: Path, folder: Path) -> None:
    """Copy a night into a new folder; raise UnwrittenError where that cannot be written."""
    try:
        Store(results).compact(folder)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise UnwrittenError(folder, error.__cause__) from error
        raise


def _examine(results: Path, baseline: Path, reason: str) -> Shift:
    """Return what is to be accepted; raise UsageError for what cannot be."""
    before = None
    if frozen.is_kept(baseline):
        _refuse_other_folders(baseline)
        if _is_timed(baseline) and not _is_timed(results):
            raise UsageError(
                f"{results} was not timed, unlike {baseline}: "
                f"`python -m bench throughput --results {results}` times it"
            )
        night, before, _ = read_with_baseline(results, baseline)
    else:
        night = Night.of(read(results))
    _refuse_unsound(results, night)
    held = against_baseline.hold(night, before, None) if before else AgainstBaseline()
    departing = [*held.pairs.others, *held.pairs.unexplained] if held.pairs else []
    changes = [*changes_in_words(held), *map(str, held.problems)]
    acceptance = Acceptance(
        reason=reason,
        accepted=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        commit=", ".join(sorted(night.selection.grid["commit"].dropna().unique())),
        from_reference=_departing(night),
        from_baseline=tuple(dict.fromkeys(each.name for each in departing)),
        changes=(*changes, *(_lost(night, before) if before else ())),
    )
    replaces = None if before is None else start_of(before.selection)
    return Shift(start_of(night.selection), replaces, acceptance)


def _departing(night: Night) -> tuple[str, ...]:
    """Return the configurations that depart from the reference runs of their seeds."""
    same = compare(night)
    departing = [each.name for each in (*same.others, *same.unexplained)]
    return tuple(dict.fromkeys([*departing, *(each.name for each in same.other_starts)]))


def _lost(night: Night, baseline: Night) -> list[str]:
    """Name the configurations and seeds that the baseline has, and the night has not."""
    ours, theirs = night.selection.grid, baseline.selection.grid
    lost: dict[str, list[str]] = {}
    for configuration in sorted(configurations_of(theirs)):
        seeds, before = (set(grid[is_in(grid, [configuration])]["seed"]) for grid in (ours, theirs))
        missing = before - seeds
        if missing:
            which = f"seeds {ranges(missing)}" if seeds else "every run"
            lost.setdefault(which, []).append(" ".join(configuration))
    return [f"no longer there: {which} of {', '.join(names)}" for which, names in lost.items()]


def _refuse_unsound(results: Path, night: Night) -> None:
    """Raise UsageError unless a night is complete and sound."""
    problems = freezing_problems(night)
    if problems:
        raise UsageError(
            f"{results} cannot be a baseline ({'; '.join(map(str, problems[:5]))}"
            f"{'; ...' if len(problems) > 5 else ''}): complete it with `python -m bench run` first"
        )


def _refuse_other_folders(baseline: Path) -> None:
    """Raise UsageError for a folder with files that no baseline has, since it is replaced."""
    if other := _other_file(baseline):
        raise UsageError(
            f"{baseline} is no baseline, because it holds {other}: name the folder that "
            "`baseline freeze` wrote, or a new one"
        )


def _other_file(folder: Path) -> str | None:
    """Return the name of a file in a folder that no baseline has; None if there is none."""
    known = {*frozen.TABLES, frozen.MANIFEST, frozen.ACCEPTED}
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return next((name for name in files if name not in known), None)


def _is_timed(folder: Path) -> bool:
    return any((folder / "throughput").glob("*.parquet"))
