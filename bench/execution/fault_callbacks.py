"""What injected faults change in the steps of a training, as callbacks of its ``Learner``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from fastai.callback.core import Callback, CancelFitException, CancelTrainException
from torch import Tensor, nn

from hnrnn.optimizer import BETAS


class Setting(Callback):  # type: ignore[misc]  # fastai has no types
    """Set another value of an optimizer's setting that has no schedule."""

    def __init__(self, name: str, value: float) -> None:
        """Take fastai's name: ``wd``, ``sqr_mom`` (the second beta) or ``eps``."""
        self.setting, self.value = name, value

    def before_fit(self) -> None:
        """Set it once."""
        self.opt.set_hyper(self.setting, self.value)


class FixedMomentum(Callback):  # type: ignore[misc]
    """Keep the momentum at its first value, against the schedule."""

    order, run_valid = 61, False  # after the schedule, which sets both hyperparameters at 60

    def before_batch(self) -> None:
        """Set the schedule's first value."""
        self.opt.set_hyper("mom", BETAS[0])


class StateReset(Callback):  # type: ignore[misc]
    """Set the kept hidden state to zero before every batch."""

    def before_batch(self) -> None:
        """Reset the state that the previous batch left."""
        reset_state(self.model)


class PassReset(Callback):  # type: ignore[misc]
    """Set the kept hidden state to zero whenever fastai v2's ``ModelResetter`` would."""

    def before_train(self) -> None:
        """Reset the state that the previous pass left."""
        reset_state(self.model)

    before_validate = before_train


def reset_state(model: nn.Module) -> None:
    """Set the model's kept hidden state to zero, if it has one."""
    h = getattr(model, "h", None)
    if isinstance(h, Tensor):
        model.h = torch.zeros_like(h)


class LaterTargets(Callback):  # type: ignore[misc]
    """Shift y by one more token."""

    def before_batch(self) -> None:
        """Drop the first target of each row, and append the first one of the next batch."""
        (y,) = self.learn.yb
        _, next_y = self.dl.batch(self.iter + 1)
        self.learn.yb = (torch.cat([y[:, 1:], next_y[:, :1]], dim=1),)


class BatchNormEval(Callback):  # type: ignore[misc]
    """Keep BatchNorm in eval mode: it uses its running statistics and does not update them."""

    def before_train(self) -> None:
        """Set eval mode again after the ``Learner`` has set training mode."""
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()


class ReversedRows(Callback):  # type: ignore[misc]
    """Reverse the rows of every batch, and with them those of a kept state, which starts at 0."""

    def before_batch(self) -> None:
        """Reverse the rows of x and y."""
        self.learn.xb = tuple(x.flip(0) for x in self.learn.xb)
        self.learn.yb = tuple(y.flip(0) for y in self.learn.yb)


class ClippedGradients(Callback):  # type: ignore[misc]
    """Shorten the gradient to a norm of at most ``most``."""

    def __init__(self, most: float) -> None:
        self.most = most

    def before_step(self) -> None:
        """Shorten it before the optimizer uses it."""
        nn.utils.clip_grad_norm_(self.model.parameters(), self.most)


class LastBatchMissing(Callback):  # type: ignore[misc]
    """End every training pass one batch early."""

    run_valid = False

    def before_batch(self) -> None:
        """End the pass before its last batch."""
        if self.iter == self.n_iter - 1:
            raise CancelTrainException


class LabelSmoothing(Callback):  # type: ignore[misc]
    """Give a share of every training target to all tokens alike; validation is unchanged."""

    def __init__(self, share: float) -> None:
        self.share = share

    def before_fit(self) -> None:
        """Keep the right loss."""
        self.right = self.loss_func

    def before_train(self) -> None:
        """Use the smoothed loss."""
        self.learn.loss_func = self.smoothed

    def before_validate(self) -> None:
        """Use the right loss."""
        self.learn.loss_func = self.right

    def smoothed(self, scores: Tensor, y: Tensor) -> Tensor:
        """Return the loss with smoothed targets; the shapes are those of ``hnrnn.metrics``."""
        right: Tensor = self.right(scores, y)
        return (1 - self.share) * right - self.share * F.log_softmax(scores, dim=-1).mean()


class StateOfOtherLayer(Callback):  # type: ignore[misc]
    """Keep the hidden states of a model's layers in reverse order."""

    def after_pred(self) -> None:
        """Exchange the states that the next batch starts from."""
        self.model.h = self.model.h.flip(0)


class HalfPrecision(Callback):  # type: ignore[misc]
    """Compute the last product, that of ``h_o``, in bfloat16."""

    def before_fit(self) -> None:
        """Replace the output of the layer."""
        self.hook = self.model.h_o.register_forward_hook(self.product)

    def after_fit(self) -> None:
        """Take the hook off."""
        self.hook.remove()

    def product(self, layer: nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Return the product in bfloat16, as the right output's dtype."""
        half = torch.bfloat16
        return F.linear(inputs[0].to(half), layer.weight.to(half), layer.bias.to(half)).to(output)


class BatchNormMomentum(Callback):  # type: ignore[misc]
    """Let the running statistics of BatchNorm follow a batch by another share."""

    def __init__(self, share: float) -> None:
        self.share = share

    def before_fit(self) -> None:
        """Set the share once."""
        self.model.bn.momentum = self.share


class BatchNormTrainsInValidation(Callback):  # type: ignore[misc]
    """Normalise validation batches by their own statistics, as in training."""

    def before_validate(self) -> None:
        """Set training mode again after the ``Learner`` has set eval mode."""
        self.model.bn.train()


class StopAfter(Callback):  # type: ignore[misc]
    """Stop the fit after ``epochs``, with the schedule of the full recipe."""

    order = 60  # after the recorder has finished the epoch's row

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def after_epoch(self) -> None:
        """Stop after the last epoch."""
        if self.epoch + 1 == self.epochs:
            raise CancelFitException
