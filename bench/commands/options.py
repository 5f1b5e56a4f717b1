"""The command line of ``python -m bench``: commands, options and what is said of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.engines import ENGINES, LOCAL
from bench.plan.faults import FAULTS
from bench.plan.plan import PROFILES
from hnrnn.arguments import (
    DEVICES,
    Number,
    Parser,
    WholeNumber,
    any_path,
    filled,
    folder,
    output_file,
    output_folder,
)
from hnrnn.program import called_as
from hnrnn.variants import VARIANTS

ROUNDS = WholeNumber(1, 10_000)


def make_parser(description: str | None) -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn-bench", "bench"), description=description)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    _add_run(commands)
    _add_throughput(commands)
    _add_engines(commands)
    _add_list(commands)
    _add_compact(commands)
    return parser


def seeds_joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--seeds -1,2`` as one word.

    argparse would take ``-1,2`` for an option, and not say what is wrong with it.
    """
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--seeds" and word[1:2].isdigit():
            words[-1] = f"--seeds={word}"
        else:
            words.append(word)
    return words


Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name


def _add_run(commands: Commands[Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are passed over",
        description="Train every named variant with every seed, in worker processes, and store "
        "each run as parquet. Runs that are stored already are passed over.",
    )
    profiles = "; ".join(
        f"{name}, {profile.seeds} seeds{'' if profile.epochs is None else ' of one epoch'}: "
        f"{profile.description}"
        for name, profile in PROFILES.items()
    )
    run.add_argument(
        "--profile", choices=PROFILES, default="quick", help=f"how much to run ({profiles})"
    )
    _add_variants(run)
    run.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="see `bench list`; notebook is each variant's own; default: the profile's, which are "
        "notebook, and nn, cell and custom on the recurrent variants; an ensemble's: notebook",
    )
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help="5 (seeds 0 to 4), 0-4 or 1,3,9; default: the profile's",
    )
    _add_device(run)
    _add_dtype(run)
    run.add_argument(
        "--initialisation",
        choices=("ones", "uniform"),
        default="ones",
        help="where BatchNorm weights start: at 1, or drawn from U(0, 1) as before PyTorch 1.2",
    )
    run.add_argument(
        "--plant",
        metavar="NAME",
        help="train wrongly on purpose, to see that it is found: "
        f"{_joined_names(control=False)}; or rightly in another way, to see that nothing is: "
        f"{_joined_names(control=True)}; refused by --profile nightly",
    )
    _add_engine(run)
    run.add_argument(
        "--fail-fast",
        action="store_true",
        help="end at the first run that fails; what is finished is kept",
    )
    _add_results(run, output_folder)
    run.add_argument(
        "--data",
        type=any_path,
        metavar="PATH",
        help="a copy of fast.ai's human_numbers, folder or archive, that must prove equal to the "
        "generated text",
    )


def _add_engine(run: Parser) -> None:
    engines = "; ".join(f"{engine.name}: {engine.description}" for engine in ENGINES.values())
    run.add_argument(
        "--engine", choices=ENGINES, default=LOCAL, help=f"what trains the runs ({engines})"
    )
    run.add_argument(
        "--jobs",
        type=WholeNumber(1, 1024),
        metavar="N",
        help="runs at a time, %(type)s; default: one per CPU core, one on a GPU; of Ray's, as many "
        "as fit",
    )
    run.add_argument(
        "--gpus-per-run",
        type=Number(0.001, 1),
        metavar="X",
        help="of --engine ray: the part of a GPU that a run is given, %(type)s; default: 1",
    )
    run.add_argument(
        "--ray-address",
        type=filled,
        metavar="ADDRESS",
        help="of --engine ray: a running cluster's, or auto for this machine's; default: start one",
    )


def _joined_names(*, control: bool) -> str:
    return ", ".join(fault.name for fault in FAULTS.values() if fault.control == control)


def _add_throughput(commands: Commands[Parser]) -> None:
    throughput = commands.add_parser(
        "throughput",
        help="time the backends side by side, and store every sample",
        description="Time training steps, forward passes and validation of every named variant on "
        "every named backend, in interleaved rounds after the parity gate, and store every sample "
        "as parquet. The reference backend, nn or for Model0 to Model3 custom, is always timed, "
        "and twice.",
    )
    profiles = "; ".join(
        f"{name}: {profile.rounds} of {profile.block_seconds:g} s"
        for name, profile in PROFILES.items()
    )
    throughput.add_argument(
        "--profile", choices=PROFILES, default="quick", help=f"rounds and blocks ({profiles})"
    )
    _add_variants(throughput)
    throughput.add_argument(
        "--backends", nargs="+", metavar="NAME", help="see `bench list`; default: all there are"
    )
    _add_device(throughput)
    _add_dtype(throughput)
    throughput.add_argument(
        "--rounds",
        type=ROUNDS,
        metavar="N",
        help="blocks of each backend, %(type)s; default: the profile's",
    )
    throughput.add_argument(
        "--threads",
        type=WholeNumber(1, 1024),
        default=1,
        metavar="N",
        help="CPU threads, %(type)s; default: 1",
    )
    _add_results(throughput, output_folder)


def _add_engines(commands: Commands[Parser]) -> None:
    engines = commands.add_parser(
        "engines",
        help="time one seed after the other beside an ensemble, and both beside the machine's peak",
        description="Time whole trainings in interleaved rounds, one seed by the Learner and many "
        "seeds as an ensemble, and print both beside the operations and bytes that they take and "
        "what the machine does of these at most.",
    )
    _add_variants(engines)
    _add_device(engines)
    engines.add_argument(
        "--seeds",
        type=WholeNumber(1, 4096),
        metavar="N",
        help="of an ensemble, %(type)s; default: as many as are trained at once on the device",
    )
    engines.add_argument(
        "--rounds", type=ROUNDS, default=3, metavar="N", help="%(type)s; default: 3"
    )
    engines.add_argument(
        "--epochs",
        type=WholeNumber(1, 1000),
        metavar="N",
        help="of a training at most, %(type)s; default: the recipe's",
    )
    engines.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="a new CSV file, for the seconds of every call",
    )


def _add_list(commands: Commands[Parser]) -> None:
    listing = commands.add_parser(
        "list",
        help="every variant and backend, and what can run here",
        description="Print every variant and backend, whether it can run here, and if not, why.",
    )
    _add_device(listing)
    listing.add_argument("--json", action="store_true", help="for programs")


def _add_compact(commands: Commands[Parser]) -> None:
    compact = commands.add_parser(
        "compact",
        help="copy a results folder into one compressed file a table",
        description="Copy a results folder into one compressed file a table, to be published.",
    )
    _add_results(compact, folder)
    compact.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="a new folder"
    )


def _add_variants(parser: Parser) -> None:
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), metavar="NAME", help="default: all eight"
    )


def _add_device(parser: Parser) -> None:
    parser.add_argument("--device", choices=DEVICES, default="auto")


def _add_dtype(parser: Parser) -> None:
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")


def _add_results(parser: Parser, kind: Callable[[str], Path]) -> None:
    parser.add_argument(
        "--results", type=kind, default="results", metavar="DIR", help="default: results"
    )
