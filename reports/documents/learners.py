"""What a program's training calls stand for: data, models, learners and fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.documents.architecture import Architecture

BATCH_SIZE = 64
FITS = frozenset("fit_one_cycle fit fit_flat_cos fine_tune fit_sgdr fit_fc".split())
LOADS = frozenset("load load_state_dict load_encoder load_pretrained".split())
"""Methods after which a model has no fresh weights."""
OTHER_DATA = frozenset("dataloaders from_dsets LMDataLoader from_df from_csv from_folder".split())
_CHANGES = frozenset("to_fp16 mixup to_parallel clip_grad".split())
_SETTINGS = frozenset(
    "wd true_wd bn_wd wd_bn_bias opt_func moms div_factor div final_div div_final lr_mult".split()
)
_POSITIONS = (("cyc_len", "n_epoch", "epochs"), ("max_lr", "lr_max", "lr"))
"""The names of a fit's first two arguments in fastai 1 and 2."""


@dataclass(frozen=True)
class Fit:
    """One training call. ``None`` is what the code does not tell.

    ``model`` is the name of the model's class. ``differences`` are what the training does otherwise
    than the notebook's, each as a part of a sentence. ``is_first`` is False if the same model was
    trained before, or its weights were loaded.
    """

    model: str
    architecture: Architecture | None
    epochs: int | None
    learning_rate: float | None
    pct_start: float | None
    bptt: int | None
    batch_size: int | None
    differences: tuple[str, ...]
    is_first: bool


@dataclass
class Data:
    """A call that makes batches; ``None`` is what the code does not tell."""

    bptt: object = None
    batch_size: object = None
    differences: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, arguments: Iterable[object], options: Mapping[str, object]) -> Data:
        """Return the data that a call makes; fastai's default of bptt is 70 tokens."""
        if name in OTHER_DATA:
            return cls(differences=("its batches are not those of fastai 1's databunch",))
        if name == "language_model_data":
            options = dict(zip(("bptt", "bs"), arguments, strict=False)) | dict(options)
        return cls(options.get("bptt", 70), options.get("bs", BATCH_SIZE))


@dataclass
class Model:
    """A model that was built inside ``loops`` loops, and how often it was trained since."""

    name: str
    architecture: Architecture | None
    loops: int
    trainings: int = 0


@dataclass
class Learner:
    """A learner, whose calls train its model."""

    data: Data
    model: Model
    differences: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Iterable[object], settings: Iterable[str], loops: int) -> Learner:
        """Return the learner that is made of ``given``, in any order, with these settings."""
        values = list(given)
        data = next((value for value in values if isinstance(value, Data)), Data())
        model = next((value for value in values if isinstance(value, Model)), None)
        differences = tuple(f"its learner sets {name}" for name in settings if name in _SETTINGS)
        return cls(data, model or Model("", None, loops), differences)

    def call(
        self, name: str, arguments: list[object], options: Mapping[str, object], loops: int
    ) -> Fit | None:
        """Follow the call of a method inside ``loops`` loops; a training call returns its fit."""
        if name in LOADS:
            self.model.trainings += 1
        if name in _CHANGES:
            self.differences += (f"its learner calls {name}",)
        if name not in FITS:
            return None
        epochs, rate = (
            arguments[place]
            if place < len(arguments)
            else next((options[known] for known in names if known in options), None)
            for place, names in enumerate(_POSITIONS)
        )
        differences = [*self.data.differences, *self.differences]
        if name != "fit_one_cycle":
            differences.append(f"it calls {name} instead of fit_one_cycle")
        differences += [f"{name} sets {option}" for option in options if option in _SETTINGS]
        # A loop that does not build the model trains it again and again.
        is_first = self.model.trainings == 0 and loops <= self.model.loops
        self.model.trainings += 1
        return Fit(
            model=self.model.name,
            architecture=self.model.architecture,
            epochs=_whole(epochs),
            learning_rate=real(rate),
            pct_start=real(options.get("pct_start", 0.3)),
            bptt=_whole(self.data.bptt),
            batch_size=_whole(self.data.batch_size),
            differences=tuple(differences),
            is_first=is_first,
        )


def real(value: object) -> float | None:
    """Return a number as a float, None for anything else."""
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e300 else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
