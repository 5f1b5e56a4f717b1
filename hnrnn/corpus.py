"""The HUMAN_NUMBERS corpus: the numbers 1 to 9999 in English words, generated or read.

The training split counts from 1 to 7999, the validation split from 8001 to 9999; 8000 is in
neither. fast.ai publishes the same text as an archive with one number per line.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

ONES = "one two three four five six seven eight nine".split()
TEENS = ("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

TRAIN_NUMBERS = range(1, 8000)
VALID_NUMBERS = range(8001, 10000)
FILE_NAMES = ("train.txt", "valid.txt")


class CorpusError(ValueError):
    """A given copy of the corpus cannot be read, or is not the generated text."""


@dataclass(frozen=True)
class Corpus:
    """The two splits, each one text: numbers in words, joined by a comma and a space."""

    train: str
    valid: str

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of both splits, part of a run's identity."""
        return hashlib.sha256(f"{self.train}\n{self.valid}".encode()).hexdigest()


def number_in_words(number: int) -> str:
    """Return ``number`` (1 to 9999) in English words, without "and" and without hyphens.

    Raises ValueError outside that range.
    """
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
    """Return the corpus made from the counting rules, with nothing read or downloaded."""
    return Corpus(
        train=", ".join(map(number_in_words, TRAIN_NUMBERS)),
        valid=", ".join(map(number_in_words, VALID_NUMBERS)),
    )


def read(path: str | Path) -> Corpus:
    """Read a copy of fast.ai's ``human_numbers``: a folder, or a tar or zip archive of it.

    Each split is a file, ``train.txt`` or ``valid.txt``, with one number per line; the white
    space around a line is dropped. The archive is read in memory: nothing is unpacked to disk.

    Raises CorpusError where there is no such file, or none that can be read.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError(f"no corpus at {path}: give the human_numbers folder or archive")
    if path.is_dir():
        contents = {file.name: file.read_bytes() for file in sorted(path.rglob("*.txt"))}
    else:
        contents = _archive_contents(path)
    missing = [name for name in FILE_NAMES if name not in contents]
    if missing:
        raise CorpusError(
            f"{path} holds no {' and no '.join(missing)}: a copy of human_numbers has both"
        )
    try:
        train, valid = (_joined_lines(contents[name].decode()) for name in FILE_NAMES)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error}") from error
    return Corpus(train, valid)


def _archive_contents(path: Path) -> dict[str, bytes]:
    """Return the text files of a tar or zip archive by their base name."""
    contents = {}
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith(".txt"):
                        contents[Path(name).name] = archive.read(name)
        else:
            with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
                for member in archive.getmembers():
                    if member.isfile() and member.name.endswith(".txt"):
                        file = archive.extractfile(member)
                        if file is not None:
                            contents[Path(member.name).name] = file.read()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise CorpusError(
            f"{path} is neither a folder nor a readable tar or zip archive"
        ) from error
    return contents


def _joined_lines(text: str) -> str:
    return ", ".join(line.strip() for line in text.splitlines())


def load(path: str | Path | None = None) -> Corpus:
    """Return the generated corpus, or the copy at ``path`` once it has proved equal to it.

    Raises CorpusError where the copy cannot be read, or differs: the message says where first.
    """
    if path is None:
        return generate()
    corpus = read(path)
    difference = first_difference(corpus, generate())
    if difference:
        raise CorpusError(f"{path} is not the HUMAN_NUMBERS text: {difference}")
    return corpus


def first_difference(given: Corpus, generated: Corpus) -> str | None:
    """Say where ``given`` first differs from ``generated``, number by number; None if nowhere."""
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
    return "missing" if words is None else repr(words)
