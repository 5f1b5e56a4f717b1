"""The eight models."""

from __future__ import annotations

import pytest
import torch

import hnrnn
from hnrnn.models import MODELS, FullyConnected
from hnrnn.variants import VARIANTS

ATTRIBUTES = {
    "Model0": {"i_h", "h_h", "h_o", "bn"},
    "Model1": {"i_h", "h_h", "h_o", "bn"},
    "Model2": {"i_h", "h_h", "h_o", "bn"},
    "Model3": {"i_h", "h_h", "h_o", "bn"},
    "Model4": {"i_h", "rnn", "h_o", "bn"},
    "Model5": {"i_h", "rnn", "h_o", "bn"},
    "Model6": {"i_h", "rnn", "h_o", "bn", "rnnc"},
    "Model7": {"i_h", "rnn", "h_o", "bn", "rnnc"},
}
KEEPS_STATE = ("Model3", "Model4", "Model5", "Model6", "Model7")


def tokens(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Return random token numbers below 40."""
    return torch.randint(40, (rows, columns), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", VARIANTS)
def test_attribute_names(name: str) -> None:
    """A state dict has the notebook's names, without the kept state."""
    model = hnrnn.build_model(name)
    assert {key.split(".")[0] for key in model.state_dict()} == ATTRIBUTES[name]
    assert not hasattr(model, "reset")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    ("bptt", "sizes"),
    [
        (None, {}),
        (40, {"hidden_size": 56, "batch_size": 8, "num_layers": 1}),
        (1, {"hidden_size": 1, "batch_size": 2, "vocab_size": 41, "num_layers": 1}),
    ],
)
def test_output_shape(name: str, bptt: int | None, sizes: dict[str, int]) -> None:
    """Scores are (batch, vocab) for one predicted token, else (batch, time, vocab)."""
    variant = VARIANTS[name]
    model = hnrnn.build_model(variant, **sizes)
    x = tokens(model.batch_size, bptt or variant.bptt)
    scores = model(x)
    rows = (len(x),) if variant.target == "last" else tuple(x.shape)
    assert scores.shape == (*rows, sizes.get("vocab_size", 40))
    scores.sum().backward()


@pytest.mark.parametrize("name", KEEPS_STATE)
def test_state_is_kept(name: str) -> None:
    """Two calls on halves end where one call on the whole ends, and no gradient runs through."""
    torch.manual_seed(0)
    model = hnrnn.build_model(name, batch_size=4).double().eval()
    x = tokens(4, 10)
    whole = model(x)
    final = model.h
    model.h = torch.zeros_like(model.h)
    halves = torch.cat([model(x[:, :5]), model(x[:, 5:])], dim=1)
    torch.testing.assert_close(halves, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(model.h, final, rtol=0, atol=1e-12)
    assert not model.h.requires_grad
    assert model.h.abs().sum() > 0


@pytest.mark.parametrize("name", ["Model0", "Model1", "Model2"])
def test_no_state_is_kept(name: str) -> None:
    """The first three models give the same result twice."""
    model = hnrnn.build_model(name).eval()
    x = tokens(64, 3)
    assert torch.equal(model(x), model(x))


def test_model0_is_model1_but_for_its_first_step() -> None:
    """Model0 does not send the first token through h_h, and stops at the third."""
    torch.manual_seed(0)
    written_out, loop = hnrnn.build_model("Model0"), hnrnn.build_model("Model1")
    loop.load_state_dict(written_out.state_dict())
    written_out.eval()
    loop.eval()
    x = tokens(64, 3)
    assert not torch.allclose(written_out(x), loop(x))
    with torch.no_grad():
        for model in (written_out, loop):
            assert isinstance(model, FullyConnected)
            model.h_h.weight.copy_(torch.eye(64))
            model.h_h.bias.zero_()
    torch.testing.assert_close(written_out(x), loop(x))
    assert torch.equal(written_out(tokens(64, 5)), written_out(tokens(64, 5)[:, :3]))


@pytest.mark.parametrize("name", ["Model6", "Model7"])
def test_unused_rnn(name: str) -> None:
    """The inherited two-layer GRU is kept, and gets no gradient."""
    model = hnrnn.build_model(name)
    model(tokens(64, 4)).sum().backward()
    parameters = dict(model.named_parameters())
    unused = [key for key in parameters if key.startswith("rnn.")]
    assert len(unused) == 8
    assert all(parameters[key].grad is None for key in unused)
    assert all(p.grad is not None for key, p in parameters.items() if key not in unused)


def test_model6_equals_model7_and_one_layer_of_model5() -> None:
    """With the same weights the GRUCell loop, the hand-written cell and nn.GRU agree in float64."""
    torch.manual_seed(0)
    cell, custom = hnrnn.build_model("Model6").double(), hnrnn.build_model("Model7").double()
    module = hnrnn.build_model("Model5", num_layers=1).double()
    state = cell.state_dict()
    renamed = {"weight_ih": "i2h.weight", "bias_ih": "i2h.bias"}
    renamed |= {"weight_hh": "h2h.weight", "bias_hh": "h2h.bias"}
    custom.load_state_dict(
        {k: v for k, v in state.items() if not k.startswith("rnnc.")}
        | {f"rnnc.{new}": state[f"rnnc.{old}"] for old, new in renamed.items()}
    )
    module.load_state_dict(
        {k: v for k, v in state.items() if not k.startswith(("rnnc.", "rnn."))}
        | {f"rnn.{old}_l0": state[f"rnnc.{old}"] for old in renamed}
    )
    x = tokens(64, 20)
    for other in (custom, module):
        torch.testing.assert_close(other(x), cell(x), rtol=0, atol=1e-12)
        cell.h = torch.zeros_like(cell.h)


def test_kept_state_moves_with_the_model() -> None:
    """The kept state follows a change of dtype and of device."""
    model = hnrnn.build_model("Model5", device="meta").double()
    assert (model.h.dtype, model.h.device.type) == (torch.float64, "meta")
    assert all(parameter.device.type == "meta" for parameter in model.parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_same_draw_on_every_device(name: str) -> None:
    """Weights come from the CPU generator, so that a seed means the same everywhere."""
    torch.manual_seed(7)
    first = hnrnn.build_model(name).state_dict()
    torch.manual_seed(7)
    second = MODELS[name]().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_errors() -> None:
    """Invalid sizes are refused with a message that says what would be valid."""
    with pytest.raises(ValueError, match="hidden_size must be 1 or more, not 0"):
        hnrnn.build_model("Model4", hidden_size=0)
    with pytest.raises(ValueError, match="unknown size nh: choose from vocab_size, hidden_size"):
        hnrnn.build_model("Model4", nh=56)
    with pytest.raises(ValueError, match="Model3 has one hidden layer"):
        hnrnn.build_model("Model3", num_layers=2)
    with pytest.raises(ValueError, match="build the model with batch_size=32"):
        hnrnn.build_model("Model5")(tokens(32, 20))
