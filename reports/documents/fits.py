"""The training call that printed a table, as far as its code says what it did.

The code is read and never executed: numbers, classes, data, learners and the calls that train are
followed from statement to statement. What cannot be told is None.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

from hnrnn.variants import VARIANTS
from reports.documents.architecture import Architecture, architecture_of
from reports.documents.learners import (
    BATCH_SIZE,
    FITS,
    LOADS,
    OTHER_DATA,
    Data,
    Fit,
    Learner,
    Model,
    real,
)
from reports.documents.syntax import called, parse

_MOST_CALLS = 100
"""How many calls of the code's own functions are followed."""
_CHANGES = ("initial_weights", "epochs", "sizes", "dtype")
"""Options of ``hnrnn.train`` that make another training than the notebook's."""
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


@lru_cache(maxsize=32)
def fits_in(code: str) -> tuple[Fit, ...]:
    """Return the training calls of the code, in order; none if it cannot be followed."""
    tree = parse(code)
    program = _Program()
    try:
        program.visit(tree or ast.Module([], []))
    except RecursionError:
        return ()
    return tuple(program.fits)


def code_until(code: str, place: int, count: int) -> str:
    """Return a cell's code until the training call that printed its table ``place`` of ``count``.

    The whole code is returned if it does not have as many calls as tables.
    """
    tree = parse(code)
    ends = sorted(
        node.end_lineno or 0
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call) and called(node) in FITS
    )
    if len(ends) != count or len(set(ends)) != count:
        return code
    until = "\n".join(code.split("\n")[: ends[place]])
    return until if parse(until) else code


class _Program(ast.NodeVisitor):
    """What a program's names stand for, statement by statement.

    Visiting an expression returns what it stands for: a number, a text, a list, a definition, data,
    a model, a learner, or None. Each body is followed once.
    """

    def __init__(self) -> None:
        self.names: dict[str, object] = {}
        self.fits: list[Fit] = []
        self._loops = 0
        self._calls = 0

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.names[node.name] = node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.names[node.name] = node

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        for target in node.targets:
            self._assign(target, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assign(node.target, None)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._assign(node.target, None)
        self.visit_While(node)

    def visit_While(self, node: ast.While | ast.For) -> None:
        self._loops += 1
        for statement in node.body:
            self.visit(statement)
        self._loops -= 1

    def visit_Constant(self, node: ast.Constant) -> object:
        return node.value

    def visit_Name(self, node: ast.Name) -> object:
        return self.names.get(node.id)

    def visit_Tuple(self, node: ast.Tuple | ast.List) -> list[object]:
        return [self.visit(part) for part in node.elts]

    def visit_List(self, node: ast.List) -> list[object]:
        return self.visit_Tuple(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> object:
        value = self.visit(node.operand)
        number = isinstance(node.op, ast.USub) and isinstance(value, (int, float))
        return -value if number else None

    def visit_BinOp(self, node: ast.BinOp) -> object:
        left, right = real(self.visit(node.left)), real(self.visit(node.right))
        calculate = _OPERATORS.get(type(node.op))
        if left is None or right is None or calculate is None:
            return None
        try:
            result = real(calculate(left, right))
        except ArithmeticError:
            return None
        return int(result) if result is not None and result.is_integer() else result

    def visit_Attribute(self, node: ast.Attribute) -> object:
        owner = self.visit(node.value)
        if isinstance(owner, Learner):
            return {"model": owner.model, "data": owner.data, "dls": owner.data}.get(node.attr)
        if isinstance(owner, Data):
            return {"bptt": owner.bptt, "bs": owner.batch_size}.get(node.attr)
        return None

    def visit_Call(self, node: ast.Call) -> object:
        name = called(node)
        owner = self.visit(node.func.value) if isinstance(node.func, ast.Attribute) else None
        arguments = [self.visit(argument) for argument in node.args]
        options = {option.arg: self.visit(option.value) for option in node.keywords if option.arg}
        if isinstance(node.func, ast.Attribute) and owner is None and name in FITS:
            owner = Learner.of((), (), self._loops)  # of which nothing is known
        if isinstance(owner, Learner):
            self._keep(owner.call(name, arguments, options, self._loops))
            return owner
        if isinstance(owner, Model):
            owner.trainings += name in LOADS
            return owner
        defined = self.names.get(name) if isinstance(node.func, ast.Name) else None
        if isinstance(defined, (ast.ClassDef, ast.FunctionDef)):
            return self._own(defined, arguments, options)
        return self._known(name, arguments, options)

    def _known(
        self, name: str, arguments: list[object], options: dict[str, object]
    ) -> Data | Learner | Model | None:
        """Return what a call of fastai's or ours makes, or of a class that is not in the code."""
        if name in ("learner", "train") and arguments and str(arguments[0]) in VARIANTS:
            return self._ours(name, str(arguments[0]), options)
        if name in ("databunch", "language_model_data") or name in OTHER_DATA:
            return Data.of(name, arguments, options)
        if name.endswith("Learner"):
            return Learner.of([*arguments, *options.values()], options, self._loops)
        return Model(name, None, self._loops) if name in VARIANTS else None

    def _assign(self, target: ast.expr, value: object) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = value if isinstance(value, list) else []
            for place, part in enumerate(target.elts):
                self._assign(part, values[place] if place < len(values) else None)

    def _keep(self, fit: Fit | None) -> None:
        self.fits += [fit] if fit else []

    def _ours(self, name: str, variant: str, options: dict[str, object]) -> Learner:
        """Return the learner that ``hnrnn.learner`` makes; ``hnrnn.train`` trains one."""
        known = VARIANTS[variant]
        model = Model(variant, Architecture(variant), self._loops)
        differences = tuple(f"{name} sets {option}" for option in options if option in _CHANGES)
        learner = Learner(Data(known.bptt, BATCH_SIZE), model, differences)
        if name == "train":
            recipe: list[object] = [known.epochs, known.learning_rate]
            settings = {"pct_start": known.pct_start}
            self._keep(learner.call("fit_one_cycle", recipe, settings, self._loops))
        return learner

    def _own(
        self,
        definition: ast.ClassDef | ast.FunctionDef,
        arguments: list[object],
        options: dict[str, object],
    ) -> Model | None:
        """Follow a call of what the code defines: a model's class, or a function that trains."""
        outer = self.names
        if isinstance(definition, ast.ClassDef):
            inits = [
                node
                for node in definition.body
                if isinstance(node, ast.FunctionDef) and node.name == "__init__"
            ]
            for init in inits:
                self.names = self.names | self._parameters(init, [None, *arguments], options)
            classes = {key: node for key, node in outer.items() if isinstance(node, ast.ClassDef)}
            architecture = architecture_of(definition.name, classes, self.visit)
            self.names = outer
            return Model(definition.name, architecture, self._loops)
        if self._calls < _MOST_CALLS:
            self._calls += 1
            self.names = self.names | self._parameters(definition, arguments, options)
            for statement in definition.body:
                self.visit(statement)
            self.names = outer
        return None

    def _parameters(
        self, definition: ast.FunctionDef, arguments: list[object], options: dict[str, object]
    ) -> dict[str, object]:
        """Return a function's parameters with what a call gives them, or their defaults."""
        names = [parameter.arg for parameter in definition.args.args]
        defaults = [self.visit(default) for default in definition.args.defaults]
        bound = dict(zip(reversed(names), reversed(defaults), strict=False))
        bound |= dict(zip(names, arguments, strict=False))
        bound |= {name: value for name, value in options.items() if name in names}
        return dict.fromkeys(names) | bound
