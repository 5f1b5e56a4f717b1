"""What the code of a network does beside its layers: anything that is not known is named."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from reports.documents.syntax import attribute_of_self, called

Definitions = Mapping[str, ast.ClassDef | ast.FunctionDef]

_PLAIN = frozenset(
    "__init__ super forward append cat chunk clone contiguous cpu cuda detach detach_ device "
    "enumerate flatten int is_available len new_zeros permute range register_buffer reshape size "
    "split squeeze stack t to transpose tuple type_as unbind unsqueeze view view_as zeros "
    "zeros_like zip Variable".split()
)
"""Calls that change the form or the place of values, or make zeros."""
_ZEROS = frozenset("zeros zeros_like new_zeros".split())
_RELUS = frozenset("relu relu_".split())
_GATES = frozenset("sigmoid sigmoid_ tanh tanh_".split())
_SHOWN = frozenset("print display".split())
_ARGUMENTS = {"Embedding": 2, "Linear": 2, "BatchNorm": 1, "RNN": 3, "GRU": 3, "GRUCell": 2}
_OPTIONS = frozenset(
    "num_embeddings embedding_dim in_features out_features num_features input_size hidden_size "
    "num_layers batch_first".split()
)


def odd_steps(
    functions: list[ast.FunctionDef],
    layers: Mapping[str, ast.Call],
    definitions: Definitions,
    *,
    relu: bool,
) -> Iterator[str]:
    """Yield what a network does that the notebook's networks do not, each as a part of a sentence.

    ``functions`` are the methods of its class; those of the layers, and the functions that they
    call, are read too. ``relu`` says whether the variant has this activation in its code.
    """
    known = _PLAIN | (_RELUS if relu else frozenset())
    methods = {function.name for function in functions}
    for function in functions:
        yield from _odd_assignments(function, layers)
    for function in _reached(functions, definitions):
        yield from _odd_calls(function, known | layers.keys() | methods, definitions)
    for cell in _classes(layers, definitions):
        for function in _methods(cell):
            own = {attribute_of_self(node) for node in ast.walk(function)}
            yield from _odd_calls(function, _PLAIN | _GATES | own, definitions, gates=True)


def odd_options(kind: str, call: ast.Call) -> Iterator[str]:
    """Yield what a layer is given beyond its sizes."""
    names = [option.arg or "options" for option in call.keywords]
    given = kind in _ARGUMENTS and len(call.args) > _ARGUMENTS[kind]
    if given or any(isinstance(argument, ast.Starred) for argument in call.args):
        names.append("more arguments")
    if kind in _ARGUMENTS:
        yield from (f"its {kind} layer sets {name}" for name in names if name not in _OPTIONS)


def odd_state(forward: ast.FunctionDef) -> Iterator[str]:
    """Yield what a network that keeps its hidden state does otherwise with it."""
    conditional = {
        id(part)
        for node in ast.walk(forward)
        if isinstance(node, ast.If)
        for part in ast.walk(node)
    }
    calls = [node for node in ast.walk(forward) if isinstance(node, ast.Call)]
    if not any(called(call).startswith("detach") for call in calls):
        yield "it does not detach its hidden state"
    if any(called(call) in _ZEROS and id(call) not in conditional for call in calls):
        yield "it starts from zeros in each batch"


def relus(functions: list[ast.FunctionDef]) -> int:
    """Return how often relu is called in these functions."""
    nodes = [node for function in functions for node in ast.walk(function)]
    return sum(isinstance(node, ast.Call) and called(node) in _RELUS for node in nodes)


def _methods(owner: ast.ClassDef) -> list[ast.FunctionDef]:
    return [node for node in owner.body if isinstance(node, ast.FunctionDef)]


def _classes(layers: Mapping[str, ast.Call], definitions: Definitions) -> Iterator[ast.ClassDef]:
    for name in dict.fromkeys(called(call) for call in layers.values()):
        found = definitions.get(name)
        if isinstance(found, ast.ClassDef):
            yield found


def _reached(
    functions: list[ast.FunctionDef], definitions: Definitions
) -> Iterator[ast.FunctionDef]:
    """Yield functions and those of the code that they call, each once."""
    waiting, seen = list(functions), set[int]()
    while waiting:
        function = waiting.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        yield function
        names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
        found = [definitions.get(name) for name in names]
        waiting += [each for each in found if isinstance(each, ast.FunctionDef)]


def _odd_assignments(function: ast.FunctionDef, layers: Mapping[str, ast.Call]) -> Iterator[str]:
    """Yield what is set that is no attribute of the network itself, or a layer that is replaced."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield "it sets single values"
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = attribute_of_self(node)
            if not name or (name in layers and function.name != "__init__"):
                yield f"it sets {node.attr}"
        elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Call):
            replaced = [attribute_of_self(target) for target in node.targets]
            yield from (f"it sets {name} again" for name in replaced if name in layers)


def _odd_calls(
    function: ast.FunctionDef,
    known: frozenset[str] | set[str],
    definitions: Definitions,
    *,
    gates: bool = False,
) -> Iterator[str]:
    """Yield the calls and the arithmetic of a function that are not known."""
    parameters = {argument.arg for argument in function.args.args}
    building = function.name == "__init__"
    layers = {
        id(node.value)
        for node in ast.walk(function)
        if building and isinstance(node, ast.Assign) and any(map(attribute_of_self, node.targets))
    }
    waiting: list[ast.AST] = [*function.args.defaults, *function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            name = called(node)
            if name in _SHOWN:
                continue
            if name == "__init__" and node.keywords:
                yield f"it sets {node.keywords[0].arg or 'options'}"
            local = isinstance(node.func, ast.Name) and (name in parameters or name in definitions)
            if id(node) not in layers and not local and name not in known:
                yield f"it calls {name}" if name else "it calls what cannot be told"
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and not building:
            allowed = (ast.Add, ast.Sub, ast.Mult) if gates else ast.Add
            constants = [
                part for part in ast.iter_child_nodes(node) if isinstance(part, ast.Constant)
            ]
            if not isinstance(node.op, allowed) or (constants and not gates):
                yield "it calculates otherwise"
        waiting += ast.iter_child_nodes(node)
