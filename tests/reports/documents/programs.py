"""Made-up programs that train the eight variants, in words of our own."""

from __future__ import annotations

from hnrnn.variants import VARIANTS

_LOOP = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(words, size)
        self.inner = nn.Linear(size, size)
        self.scores = nn.Linear(size, words)
        self.norm = nn.BatchNorm1d(size)
        self.state = torch.zeros(rows, size)

    def forward(self, batch):
"""
_FORWARD = {
    "Model0": """\
        state = self.norm(F.relu(self.embed(batch[:, 0])))
        state = self.norm(F.relu(self.inner(state + self.embed(batch[:, 1]))))
        state = self.norm(F.relu(self.inner(state + self.embed(batch[:, 2]))))
        return self.scores(state)
""",
    "Model1": """\
        state = torch.zeros(batch.shape[0], size)
        for step in range(batch.shape[1]):
            state = state + self.embed(batch[:, step])
            state = self.norm(F.relu(self.inner(state)))
        return self.scores(state)
""",
    "Model2": """\
        state, found = torch.zeros(batch.shape[0], size), []
        for step in range(batch.shape[1]):
            state = F.relu(self.inner(state + self.embed(batch[:, step])))
            found.append(self.scores(self.norm(state)))
        return torch.stack(found, dim=1)
""",
    "Model3": """\
        state, found = self.state, []
        for step in range(batch.shape[1]):
            state = F.relu(self.inner(state + self.embed(batch[:, step])))
            found.append(self.norm(state))
        self.state = state.detach()
        return self.scores(torch.stack(found, dim=1))
""",
}
_LAYER = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(words, size)
        self.layer = nn.{layer}
        self.unused = nn.Dropout(0.1)
        self.scores = nn.Linear(size, words)
        self.norm = BatchNorm1dFlat(size)
        self.state = torch.zeros(2, rows, size).cuda()

    def forward(self, batch):
        found, state = self.layer(self.embed(batch), self.state)
        self.state = state.detach()
        return self.scores(self.norm(found))
"""
_CELL = """\
def run_cell(cell, state, steps):
    found = []
    for step in steps.transpose(0, 1):
        state = cell(step, state)
        found.append(state)
    return torch.stack(found, dim=1)

class CellNet(Net):
    def __init__(self):
        super().__init__()
        self.cell = {cell}
        self.state = torch.zeros(rows, size)

    def forward(self, batch):
        found = run_cell(self.cell, self.state, self.embed(batch))
        self.state = found[:, -1].detach()
        return self.scores(self.norm(found))
"""
_OWN_CELL = """\
class Gates(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.of_input = nn.Linear(inputs, 3 * outputs)
        self.of_state = nn.Linear(outputs, 3 * outputs)

    def forward(self, x, state):
        a, b, c = self.of_input(x).chunk(3, 1)
        d, e, f = self.of_state(state).chunk(3, 1)
        keep = torch.sigmoid(b + e)
        return keep * state + (1 - keep) * torch.tanh(c + torch.sigmoid(a + d) * f)
"""
_GRU = _LAYER.format(layer="GRU(size, size, 2, batch_first=True)")
NETWORKS = {
    **{name: _LOOP + forward for name, forward in _FORWARD.items()},
    "Model4": _LAYER.format(layer="RNN(size, size, batch_first=True)"),
    "Model5": _GRU,
    "Model6": _GRU + _CELL.format(cell="nn.GRUCell(size, size)"),
    "Model7": _GRU + _OWN_CELL + _CELL.format(cell="Gates(size, size)"),
}


def program(name: str) -> str:
    """Return a program that trains the variant of that name as the notebook does."""
    variant = VARIANTS[name]
    net = "CellNet" if "class CellNet" in NETWORKS[name] else "Net"
    last = ", loss_func=loss_of_last" if variant.target == "last" else ""
    pct = f", pct_start={variant.pct_start}" if variant.pct_start != 0.3 else ""
    return (
        "rows, size = 64, 64\n"
        f"data = source.databunch(bs=rows, bptt={variant.bptt})\n"
        f"{NETWORKS[name]}\n"
        f"learn = Learner(data, {net}(), metrics=accuracy{last})\n"
        f"learn.fit_one_cycle({variant.epochs}, {variant.learning_rate}{pct})\n"
    )
