"""The HUMAN_NUMBERS corpus, generated or read: the numbers 1 to 9999 in English words.

The training split counts from 1 to 7999, the validation split from 8001 to 9999; 8000 is in
neither. fast.ai publishes the same text as an archive with one number per line.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

from hnrnn.archives import FilesError, read_files

ONES = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

TRAIN_NUMBERS = range(1, 8000)
VALID_NUMBERS = range(8001, 10000)
FILE_NAMES = ("train.txt", "valid.txt")
LONGEST_SHOWN = 60
"""The most characters of a wrong number in a message; the longest right one has 39."""


class CorpusError(ValueError):
    """A copy of the corpus cannot be read, or differs from the generated text."""


@dataclass(frozen=True)
class Corpus:
    """The two splits as texts: numbers in words, joined by a comma and a space."""

    train: str
    valid: str

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of both splits, which is part of a run's id."""
        return hashlib.sha256(f"{self.train}\n{self.valid}".encode()).hexdigest()


def number_in_words(number: int) -> str:
    """Return ``number`` in words, without "and" and hyphens; raise ValueError beyond 1 to 9999."""
    if not 1 <= number <= 9999:
        raise ValueError(f"number must be from 1 to 9999, not {number}")
    thousands, below_thousand = divmod(number, 1000)
    hundreds, below_hundred = divmod(below_thousand, 100)
    words = []
    if thousands:
        words += [ONES[thousands - 1], "thousand"]
    if hundreds:
        words += [ONES[hundreds - 1], "hundred"]
    if below_hundred >= 20:
        tens, below_hundred = divmod(below_hundred, 10)
        words.append(TENS[tens - 2])
    if below_hundred >= 10:
        words.append(TEENS[below_hundred - 10])
    elif below_hundred:
        words.append(ONES[below_hundred - 1])
    return " ".join(words)


@cache
def generate() -> Corpus:
    """Return the corpus, made by the rules of counting; nothing is read or downloaded."""
    return Corpus(
        train=", ".join(map(number_in_words, TRAIN_NUMBERS)),
        valid=", ".join(map(number_in_words, VALID_NUMBERS)),
    )


def read(path: str | Path) -> Corpus:
    """Return a copy of fast.ai's ``human_numbers``, read from a folder, tar or zip archive.

    Each split is a file, ``train.txt`` or ``valid.txt``, with one number per line. White space
    around a line, a byte order mark and blank lines at the end are ignored. Raises CorpusError if a
    file is missing or unreadable.
    """
    try:
        contents = read_files(Path(path), FILE_NAMES)
    except FilesError as error:
        raise CorpusError(f"{error}: give the human_numbers folder or archive") from error
    try:
        texts = [contents[name].decode("utf-8-sig").rstrip() for name in FILE_NAMES]
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error}") from error
    return Corpus(*(", ".join(line.strip() for line in text.splitlines()) for text in texts))


def load(path: str | Path | None = None) -> Corpus:
    """Return the generated corpus; if ``path`` is given, check that the copy there is equal.

    Raises CorpusError if the copy cannot be read, or with the first difference.
    """
    if path is None:
        return generate()
    corpus = read(path)
    difference = first_difference(corpus, generate())
    if difference:
        raise CorpusError(f"{path} is not the HUMAN_NUMBERS text: {difference}")
    return corpus


def first_difference(given: Corpus, generated: Corpus) -> str | None:
    """Return a description of the first number that differs, or None if the texts are equal."""
    for split, here, there in (
        ("training", given.train, generated.train),
        ("validation", given.valid, generated.valid),
    ):
        pairs = zip_longest(here.split(", "), there.split(", "))
        for index, (word_here, word_there) in enumerate(pairs):
            if word_here != word_there:
                return (
                    f"{split} number {index + 1} is {_shown(word_here)}, "
                    f"expected {_shown(word_there)}"
                )
    return None


def _shown(words: str | None) -> str:
    if words is None:
        return "missing"
    return repr(words) if len(words) <= LONGEST_SHOWN else f"{words[:LONGEST_SHOWN]!r}..."
