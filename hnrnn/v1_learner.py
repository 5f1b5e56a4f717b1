"""A fastai v2 ``Learner`` that trains one of the notebook's models as fastai v1 does.

fastai 1.0.61 differs from v2's defaults in the batch stream (``hnrnn.stream``), in AdamW and the
one-cycle schedule (``hnrnn.optimizer``), in the smoothed training loss (``hnrnn.metrics``), and in
the hidden state, which is never reset, not even between training and validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import display_df
from torch import nn

from hnrnn.metrics import LOSSES, Accuracy, EpochRecorder
from hnrnn.models import Model
from hnrnn.optimizer import BETAS, FIRST_MOMENTUM, adamw, schedules
from hnrnn.settings import pinned_settings
from hnrnn.stream import language_model_data
from hnrnn.variants import Variant, find_variant
from hnrnn.weights import find_dtype, initial_model, set_weights, weights_sha256


class V1Learner(Learner):  # type: ignore[misc]  # fastai has no types
    """The ``Learner`` of a variant; ``hnrnn.learner`` makes it.

    ``variant``, ``seed`` and ``initial_weights_sha256`` say where it started. Whatever computes
    does so under the settings of ``hnrnn.settings``, and restores the caller's. What does not train
    leaves no trace: ``validate``, ``get_preds``, ``show_results`` and ``lr_find`` start from the
    kept hidden state and restore it, so that a call repeats, and a training after it is the same
    as without.
    """

    variant: Variant
    seed: int
    initial_weights_sha256: str

    def fit(
        self,
        n_epoch: int,
        lr: float | None = None,
        wd: float | None = None,
        cbs: Callback | Sequence[Callback] | None = None,
        reset_opt: bool = False,  # noqa: FBT001, FBT002  # fastai's signature
        start_epoch: int = 0,
    ) -> None:
        """Train with a constant learning rate, by default the recipe's.

        The arguments are those of fastai's ``Learner.fit``. Raises ValueError for fewer epochs than
        one and for a learning rate that is not above 0.
        """
        if n_epoch < 1:
            raise ValueError(f"n_epoch must be 1 or more, not {n_epoch}")
        check_rate(self.lr if lr is None else lr, "lr")
        with pinned_settings():
            super().fit(n_epoch, lr, wd, cbs, reset_opt, start_epoch)

    def fit_one_cycle(
        self,
        n_epoch: int | None = None,
        lr_max: float | None = None,
        div: float = 25.0,
        div_final: float = 25e4,
        pct_start: float | None = None,
        wd: float | None = None,
        moms: tuple[float, float, float] | None = None,
        cbs: Callback | Sequence[Callback] | None = None,
        reset_opt: bool = False,  # noqa: FBT001, FBT002  # fastai's signature
        start_epoch: int = 0,
    ) -> None:
        """Train by v1's one-cycle schedule, by default for the recipe's epochs and rate.

        The arguments are those of fastai v2's method. ``div_final`` has v1's default, and
        ``pct_start`` the recipe's: 0.3, as in v1, and 0.1 for ``Model2``. So
        ``learn.fit_one_cycle(10, 1e-2)`` does for ``Model5`` what the same line does in the
        notebook. Raises ValueError as ``fit`` does, and for a ``pct_start`` that is no share.
        """
        recipe = replace(
            self.variant,
            epochs=self.variant.epochs if n_epoch is None else n_epoch,
            learning_rate=self.lr if lr_max is None else lr_max,
            pct_start=self.variant.pct_start if pct_start is None else pct_start,
        )
        check_rate(recipe.learning_rate, "lr_max")
        if not 0 <= recipe.pct_start <= 1:
            raise ValueError(f"pct_start must be from 0 to 1, not {pct_start}")
        momenta = self.moms if moms is None else moms
        values = schedules(
            recipe, len(self.dls.train), div=div, div_final=div_final, momenta=momenta
        )
        with self.added_cbs(cbs):
            self.fit_by_steps(recipe.epochs, values, wd, reset_opt, start_epoch)

    def fit_by_steps(
        self, n_epoch: int, values: Mapping[str, Callable[[int], float]], *options: Any
    ) -> None:
        """Train with hyperparameters that are functions of the step, counted from 0.

        ``options`` are those of ``fit``: ``wd``, ``reset_opt`` and ``start_epoch``.
        """
        wd, reset_opt, start_epoch = options or (None, False, 0)
        steps = n_epoch * len(self.dls.train)
        scheduler = ParamScheduler(
            {name: partial(_at_share, value, steps) for name, value in values.items()}
        )
        self.fit(n_epoch, None, wd, scheduler, reset_opt, start_epoch)

    @property
    def smooth_loss(self) -> torch.Tensor:
        """The smoothed training loss after the last batch, a scalar; none before the first."""
        if not self.recorder.smooth_loss.count:
            raise AttributeError("there is no smoothed loss before the first training batch")
        return torch.tensor(self.recorder.smooth_loss.value)

    def validate(self, *arguments: Any, **options: Any) -> Any:
        """Return the validation loss and the accuracy, as fastai's ``Learner.validate``."""
        with self._no_trace():
            return super().validate(*arguments, **options)

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        *,
        inner: bool = False,
        **options: Any,
    ) -> Any:
        """Return scores and targets, as fastai's ``Learner.get_preds``.

        Scores are not normalised; ``act=partial(torch.softmax, dim=-1)`` makes shares of them.
        """
        dl = self.dls[ds_idx] if dl is None else dl
        with self._no_trace(record=not inner):
            return super().get_preds(ds_idx, dl, inner=inner, **options)

    def lr_find(self, *arguments: Any, **options: Any) -> Any:
        """Return a learning rate by a mock training, as fastai's ``Learner.lr_find``."""
        with self._no_trace(record=False):
            return super().lr_find(*arguments, **options)

    def show_results(self, ds_idx: int = 1, max_n: int = 9) -> None:
        """Display rows of the first batch: the tokens, those that follow, and the predictions."""
        batch = x, y = self.dls[ds_idx].batch(0)
        scores, _ = self.get_preds(dl=[batch])
        predicted = scores.argmax(-1)
        if self.variant.target == "last":
            y, predicted = y[:, -1:], predicted[:, None]
        texts = {"text": x, "following": y, "predicted": predicted}
        textify = self.dls.vocab.textify
        display_df(pd.DataFrame({k: map(textify, rows[:max_n]) for k, rows in texts.items()}))

    @contextmanager
    def _no_trace(self, *, record: bool = True) -> Iterator[None]:
        """Restore the kept hidden state at the end, and the record of the last fit."""
        h = getattr(self.model, "h", None)
        recorders = self._grab_cbs(EpochRecorder) if record else []
        with ExitStack() as stack:
            stack.enter_context(pinned_settings())
            stack.enter_context(self.removed_cbs(recorders))
            stack.enter_context(self.added_cbs([EpochRecorder() for _ in recorders]))
            try:
                yield
            finally:
                if h is not None:
                    self.model.h = h


def _at_share(value: Callable[[int], float], steps: int, share: float) -> float:
    """Return the value at a step; fastai gives the completed share, which rounding makes exact."""
    return value(round(share * steps))


def check_rate(rate: float, name: str) -> None:
    """Raise ValueError for a learning rate that is not above 0."""
    if not (isinstance(rate, float | int) and 0 < rate < float("inf")):
        raise ValueError(f"{name} must be a number above 0, not {rate}")


@pinned_settings()
def learner(
    variant: str | Variant,
    *,
    seed: int | None = None,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    initialisation: str = "ones",
    initial_weights: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    convert: Callable[[Model], nn.Module] | None = None,
    cbs: Callback | Sequence[Callback] | None = None,
    path: str | Path = ".",
) -> V1Learner:
    """Return the fastai ``Learner`` of one of the notebook's models, ready to train.

        learn = hnrnn.learner("Model5", seed=0)
        learn.fit_one_cycle(10, 1e-2)

    It computes what fastai 1.0.61 does, and prints the same table; with the recipe's arguments, as
    above, or with none, it is the training of ``hnrnn.train``, bit by bit. ``learn.recorder`` has
    the table in ``metric_names`` and ``values``. torch's random state is neither used nor changed.

    The arguments up to ``sizes`` are those of ``hnrnn.train``; ``learn.seed`` is the seed that was
    given or drawn. ``convert`` takes the model with its initial weights, and returns the module to
    train. ``cbs`` are callbacks beside ``TrainEvalCallback``, the recorder and the progress bar.
    ``path`` is the folder of ``learn.export``, and of ``models``, where ``learn.save`` writes.

    Raises ValueError for an invalid argument.
    """
    variant = find_variant(variant)
    model_dtype = find_dtype(dtype)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    model = initial_model(variant, seed, initialisation=initialisation, **(sizes or {}))
    model = model.to(device=device, dtype=model_dtype)
    set_weights(model, initial_weights or {})
    digest = weights_sha256(model)
    learn = V1Learner(
        language_model_data(variant.bptt, model.batch_size, device),
        model if convert is None else convert(model),
        loss_func=LOSSES[variant.loss],
        opt_func=partial(OptimWrapper, opt=partial(adamw, betas=(FIRST_MOMENTUM, BETAS[1]))),
        lr=variant.learning_rate,
        metrics=[Accuracy()],
        cbs=[TrainEvalCallback(), EpochRecorder(), ProgressCallback()],
        default_cbs=False,  # they are global, and anyone may have changed them
        path=path,
    )
    learn.variant, learn.seed, learn.initial_weights_sha256 = variant, seed, digest
    learn.add_cbs(cbs)
    return learn
