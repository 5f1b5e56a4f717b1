"""What network a model's class builds, and which variant it is nearest to."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hnrnn.text import counted
from reports.documents.syntax import attribute_of_self, called

Evaluate = Callable[[ast.expr], object]

_RECURRENT = ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell")
_NEAREST = {"RNN": "Model4", "GRU": "Model5", "GRUCell": "Model6", "own cell": "Model7"}
_LAYERS = {"Model4": 1, "Model5": 2}
_OPTIONS = {"input_size", "hidden_size", "num_layers", "batch_first", "bias"}
_MOST_BASES = 8


@dataclass(frozen=True)
class Architecture:
    """A network as its class builds it.

    ``nearest`` is the variant that it is, or is most like; ``differences`` are what it does
    otherwise, each as a part of a sentence. ``sizes`` are those of its hidden sizes that are known.
    """

    nearest: str
    differences: tuple[str, ...] = ()
    sizes: frozenset[int] = frozenset()


def architecture_of(
    name: str, classes: Mapping[str, ast.ClassDef], evaluate: Evaluate
) -> Architecture | None:
    """Return what the class of that name builds, or None if it has no layers or no ``forward``.

    ``classes`` are those defined so far; ``evaluate`` returns the value of an expression in the
    class, or None if it cannot be told.
    """
    line = list(_line_of(name, classes))
    methods = {
        node.name: node for each in line for node in each.body if isinstance(node, ast.FunctionDef)
    }
    forward = methods.get("forward")
    layers = {
        attribute: call
        for each in line
        for node in each.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for attribute, call in _layers_built(node)
    }
    if forward is None or not layers:
        return None
    # A layer that is inherited and not used, such as Model6's nn.GRU, changes no result.
    names = {attribute_of_self(node) for node in ast.walk(forward)}
    used = {attribute: call for attribute, call in layers.items() if attribute in names}
    kinds = {attribute: _kind(call, classes) for attribute, call in used.items()}
    recurrent = [used[attribute] for attribute, kind in kinds.items() if kind in _CELLS]
    if recurrent:
        found = _of_layer(_kind(recurrent[-1], classes), recurrent[-1], forward, evaluate)
        own = classes.get(called(recurrent[-1]))
        if found.nearest == "Model7" and own and not _is_gated(own):
            found = Architecture("Model7", (*found.differences, f"{own.name} is no GRU cell"))
    else:
        found = _of_loop(forward, used, kinds)
    counts = Counter(kinds.values())
    differences = [*found.differences, *_odd_layers(counts, linear=1 if recurrent else 2)]
    if _is_time_first(forward):
        differences.append("its batches are (time, batch)")
    sizes = [evaluate(size) for call in used.values() for size in _hidden_sizes(call, classes)]
    known = frozenset(size for size in sizes if isinstance(size, int))
    return Architecture(found.nearest, tuple(differences), known)


_CELLS = (*_RECURRENT, "own cell")


def _line_of(name: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """Yield the class and its bases in the code, the furthest base first."""
    line: list[ast.ClassDef] = []
    found = classes.get(name)
    while found is not None and found not in line and len(line) < _MOST_BASES:
        line.append(found)
        bases = [base.id for base in found.bases if isinstance(base, ast.Name)]
        found = classes.get(bases[0]) if bases else None
    yield from reversed(line)


def _layers_built(init: ast.FunctionDef) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(init):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            attributes = [attribute_of_self(target) for target in node.targets]
            if any(attributes) and called(node.value) not in ("zeros", "cuda", "to", "device"):
                yield attributes[0], node.value


def _kind(call: ast.Call, classes: Mapping[str, ast.ClassDef]) -> str:
    """Return a layer's kind: torch's name, or ``own cell`` for a class that the code defines."""
    name = called(call)
    own = classes.get(name) if isinstance(call.func, ast.Name) else None
    bases = [name, *(ast.dump(base) for base in own.bases)] if own else [name]
    if any("BatchNorm" in base for base in bases):
        return "BatchNorm"
    return "own cell" if own else name


def _is_gated(cell: ast.ClassDef) -> bool:
    """Return whether a cell has the two sigmoid gates and the tanh of a GRU."""
    calls = Counter(called(node) for node in ast.walk(cell) if isinstance(node, ast.Call))
    return calls["sigmoid"] + calls["sigmoid_"] == 2 and calls["tanh"] + calls["tanh_"] == 1


def _of_layer(
    kind: str, call: ast.Call, forward: ast.FunctionDef, evaluate: Evaluate
) -> Architecture:
    """Return the architecture around a recurrent layer or cell."""
    nearest = _NEAREST.get(kind, "Model6" if kind.endswith("Cell") else "Model5")
    differences = [] if kind in _NEAREST else [f"its recurrent layer is nn.{kind}"]
    options = {option.arg: option.value for option in call.keywords if option.arg}
    if kind in ("RNN", "GRU"):
        given = call.args[2] if len(call.args) > 2 else options.get("num_layers")
        layers = 1 if given is None else evaluate(given)
        if layers != _LAYERS[nearest]:
            shown = counted(layers, "layer") if isinstance(layers, int) else "layers without number"
            differences.append(f"it has {shown}, not {_LAYERS[nearest]}")
        if not evaluate(options.get("batch_first", ast.Constant(value=False))):
            differences.append("its batches are (time, batch)")
    differences += [f"it sets {option}" for option in options if option not in _OPTIONS]
    if not _keeps_state(forward):
        differences.append("it does not keep its hidden state")
    return Architecture(nearest, tuple(differences))


def _of_loop(
    forward: ast.FunctionDef, used: Mapping[str, ast.Call], kinds: Mapping[str, str]
) -> Architecture:
    """Return the architecture of a recurrence that is written out, with linear maps."""
    nodes = list(ast.walk(forward))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    loops = [node for node in nodes if isinstance(node, (ast.For, ast.While))]
    every = any(called(call) in ("stack", "cat") for call in calls)
    if every:
        nearest = "Model3" if _keeps_state(forward) else "Model2"
    else:
        nearest = "Model1" if loops else "Model0"
    square = {
        attribute
        for attribute, call in used.items()
        if kinds[attribute] == "Linear"
        and len(call.args) > 1
        and ast.dump(call.args[0]) == ast.dump(call.args[1])
    }
    hidden = [call for call in calls if attribute_of_self(call.func) in square]
    differences = []
    if not loops and len(hidden) != 2:
        differences.append("its first token passes the hidden layer too")
    if not every and _keeps_state(forward):
        differences.append("it keeps its hidden state")
    if _normalises_state(nodes, hidden, kinds) == every:
        how = "not normalised" if not every else "normalised"
        differences.append(f"the state that it feeds back is {how}")
    inside = {id(node) for loop in loops for node in ast.walk(loop)}
    norms = [call for call in calls if kinds.get(attribute_of_self(call.func)) == "BatchNorm"]
    if loops and any(id(call) not in inside for call in norms):
        differences.append("it normalises all steps together")
    return Architecture(nearest, tuple(dict.fromkeys(differences)))


def _normalises_state(
    nodes: list[ast.AST], hidden: list[ast.Call], kinds: Mapping[str, str]
) -> bool:
    """Return whether batch normalisation changes the state that goes into the next step."""
    states = {
        node.id for call in hidden for node in ast.walk(call) if isinstance(node, ast.Name)
    } - {"self", "x", "F"}
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id in states for target in node.targets)
        and any(kinds.get(attribute_of_self(part)) == "BatchNorm" for part in ast.walk(node.value))
        for node in nodes
    )


def _keeps_state(forward: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and bool(attribute_of_self(node))
        for node in ast.walk(forward)
    )


def _is_time_first(forward: ast.FunctionDef) -> bool:
    """Return whether the steps of the input are its first axis, as in the first fastai 1."""
    names = [argument.arg for argument in forward.args.args[1:2]]
    for node in ast.walk(forward):
        over = node.iter if isinstance(node, ast.For) else None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            over = node.value
        if isinstance(over, ast.Name) and over.id in names:
            return True
    return False


def _odd_layers(counts: Counter[str], linear: int) -> Iterator[str]:
    for kind, expected in (("Embedding", 1), ("Linear", linear), ("BatchNorm", 1)):
        if counts[kind] != expected:
            yield f"it uses {counted(counts[kind], f'{kind} layer')}, not {expected}"
    cells = sum(counts[kind] for kind in _CELLS)
    if cells > 1:
        yield f"it uses {cells} recurrent layers, not 1"
    known = {"Embedding", "Linear", "BatchNorm", *_CELLS}
    yield from (f"it uses {kind}" for kind in counts if kind not in known)


def _hidden_sizes(call: ast.Call, classes: Mapping[str, ast.ClassDef]) -> list[ast.expr]:
    """Return the expressions of a layer's hidden size."""
    if _kind(call, classes) not in ("Embedding", *_CELLS):
        return []
    named = [option.value for option in call.keywords if option.arg == "hidden_size"]
    return [*call.args[1:2], *named]
