"""Compare the notebook's deterministic outputs with those computed here."""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn", "hnrnn"))

import sys
from collections.abc import Sequence
from pathlib import Path

from hnrnn.arguments import Parser, any_path
from hnrnn.corpus import Corpus, CorpusError, first_difference, generate, read
from hnrnn.program import exit_code
from hnrnn.text import one_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 if all facts are equal, 1 if not, 2 for wrong usage, and 74 in place of 0 for output
    that cannot be written.
    """
    options = make_parser().parse_args(arguments)
    try:
        corpus = generate() if options.data is None else read(options.data)
    except CorpusError as error:
        print(f"{called_as('hnrnn', 'hnrnn')} facts: {one_line(error)}", file=sys.stderr)
        return 2
    return exit_code(print_facts(corpus, options.data))


def make_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn", "hnrnn"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    facts = commands.add_parser(
        "facts",
        help="print every deterministic output of the notebook beside the value computed here; "
        "exit code 1 if any differs",
    )
    facts.add_argument(
        "--data",
        type=any_path,
        metavar="PATH",
        help="a folder or archive of fast.ai's human_numbers, read instead of generating the text",
    )
    return parser


def print_facts(corpus: Corpus, path: Path | None) -> int:
    """Print every fact with the notebook's value; return 1 if anything differs, else 0."""
    from hnrnn.facts import compare  # loads torch and fastai
    from hnrnn.stream import language_model_data

    difference = first_difference(corpus, generate())
    if difference:
        print(f"{one_line(path)} differs from the generated text: {difference}\n")
    elif path:
        print(f"{one_line(path)} is equal to the generated text.\n")

    try:
        comparisons = compare(corpus)
    except (ValueError, IndexError) as error:
        print(f"the notebook's facts cannot be computed from this text: {error}")
        return 1
    for comparison in comparisons:
        fact = comparison.notebook
        print(f"cell {fact.cell:2}  {fact.key}: {'equal' if comparison.equal else 'DIFFERENT'}")
        print(f"         notebook  {fact.value!r}")
        print(f"         here      {comparison.here!r}")
    equal = sum(comparison.equal for comparison in comparisons)
    dls = language_model_data(20, corpus=corpus)
    print(
        f"\nNot printed in the notebook: with bptt 20, {len(dls.train)} training and "
        f"{len(dls.valid)} validation batches."
    )
    print(f"{len(comparisons)} facts: {equal} equal, {len(comparisons) - equal} different")
    return 0 if equal == len(comparisons) and not difference else 1


if __name__ == "__main__":
    sys.exit(main())
