"""Every command line of the project, and what is said of bad words."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import bench.__main__
import hnrnn.__main__
import reports.__main__
import reports.ci.__main__

Main = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Option:
    """One option of one command, with what else the command must be given."""

    main: Main
    words: tuple[str, ...]
    action: argparse.Action

    @property
    def flag(self) -> str:
        """The option's name."""
        return self.action.option_strings[-1]

    def __str__(self) -> str:
        """Return it as it is typed."""
        return " ".join((*self.words, self.flag))

    def given(self, value: str) -> list[str]:
        """Return the command's words with this option's value, and nothing else wrong."""
        return [*self.words, f"{self.flag}={value}"]


PARSERS: tuple[tuple[Main, argparse.ArgumentParser], ...] = (
    (hnrnn.__main__.main, hnrnn.__main__.make_parser()),
    (bench.__main__.main, bench.__main__.make_parser()),
    (reports.__main__.main, reports.__main__.make_parser()),
    (reports.ci.__main__.main, reports.ci.__main__.make_parser()),
)


def options() -> Iterator[Option]:
    """Yield every option of every command that takes a value."""
    for main, parser in PARSERS:
        for words, command in commands(parser):
            for action in command._actions:
                if action.option_strings and action.nargs != 0:
                    yield Option(main, words, action)


def commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield a parser's commands that have no further ones, with the words that call them."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield words, parser
    for action in below:
        for name, command in action.choices.items():
            yield from commands(command, (*words, name))


def exit_code(main: Main, words: Sequence[str]) -> int:
    """Return a command's exit code, whether it was returned or raised."""
    try:
        return main(words)
    except SystemExit as leaving:
        return int(leaving.code or 0)
