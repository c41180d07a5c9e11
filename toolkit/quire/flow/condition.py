"""When a step runs: a callable on the results so far, or an expression over them, checked when written.

Expressions are a small part of Python: names of steps and their fields, constants, comparisons, `and`,
`or`, `not`, `in`, arithmetic, and the functions `len`, `min`, `max`, `abs`, `any`, `all`. Nothing else
is evaluated, so an expression may come from a file.
"""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from types import CodeType
from typing import Any, Protocol

from quire.core.errors import ConditionError, DefinitionError, RegistrationError
from quire.flow.wiring import field_of, field_type

__all__ = ["Condition", "Deciding", "Expression", "checked_function", "decided"]

_LONGEST = 2_000
"""Characters of an expression; a longer one is no condition any more."""
_DEEPEST = 50
"""Levels of an expression, so that no text can exhaust the stack."""


def _on_numbers(operation: Callable[[Any, Any], Any], word: str) -> Callable[[Any, Any], Any]:
    """Return an operation that only numbers may have: "x" * 10**9 and "%999999999d" % 1 are weapons."""

    def apply(left: Any, right: Any) -> Any:
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            message = f"only numbers can be {word} here"
            raise TypeError(message)
        return operation(left, right)

    return apply


def _quotient(left: Any, right: Any) -> Any:
    return left / right


def _is_in(item: Any, box: Any) -> bool:
    return item in box


def _is_not_in(item: Any, box: Any) -> bool:
    return item not in box


_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: _is_in,
    ast.NotIn: _is_not_in,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _on_numbers(operator.mul, "multiplied"),
    ast.Div: _on_numbers(_quotient, "divided"),
    ast.Mod: _on_numbers(operator.mod, "divided"),
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"len": len, "min": min, "max": max, "abs": abs, "any": any, "all": all}
_BOXES: dict[type[ast.AST], Callable[[list[Any]], Any]] = {ast.List: list, ast.Tuple: tuple, ast.Set: set}
_MACHINERY = (types.FrameType, types.CodeType, types.ModuleType, types.TracebackType)


class Expression:
    """A safe expression, parsed once.

    Raises:
        RegistrationError: it is not an expression of the kind allowed.

    Example:
        >>> Expression("score >= 0.8 and not flags")({"score": 0.9, "flags": []})
        True
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree = _parsed(text)
        self.names = frozenset(_checked(self._tree, text, _DEEPEST))

    def __call__(self, names: Mapping[str, Any]) -> Any:
        """Return its value for these names."""
        return _value(self._tree, names)

    def check_fields(self, kinds: Mapping[str, Any]) -> None:
        """Raise `UnknownField` if it reads a field that the type of its name does not have."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Attribute):
                _type_of(node, kinds)


def _parsed(text: str) -> ast.expr:
    why = f"it has more than {_LONGEST} characters"
    try:
        if len(text) <= _LONGEST:
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error) or "it is nested too deeply"
    shown = text if len(text) <= 100 else f"{text[:99]}…"  # noqa: PLR2004
    message = f"{shown!r} is not an expression: {why}."
    raise RegistrationError(message, remedy="Write something like \"triage.kind == 'bug'\".")


def _type_of(node: ast.AST, kinds: Mapping[str, Any]) -> Any:
    match node:
        case ast.Name():
            return kinds.get(node.id, Any)
        case ast.Attribute():
            return field_type(_type_of(node.value, kinds), node.attr, f"`{ast.unparse(node.value)}`")
        case _:
            return Any


def _checked(node: ast.AST, text: str, levels: int) -> Iterator[str]:  # noqa: C901 - one case a kind of node
    """Yield the names an expression reads; refuse whatever is not in the small language."""
    if levels == 0:
        message = f"{text[:40]!r}… is nested too deeply for a condition."
        raise RegistrationError(message, remedy="Give a function: when=lambda done: ...")
    match node:
        case ast.Name():
            yield node.id
            return
        case ast.Attribute() if node.attr.startswith("_"):
            message = f"{text!r} reads {node.attr!r}, which is private."
            raise RegistrationError(message, remedy="Compare public fields.")
        case ast.Compare() if not _are_singletons(node):
            message = f"{text!r} asks whether two values are one and the same."
            raise RegistrationError(message, remedy="`is` is for None, True and False; compare the others with ==.")
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
            for argument in node.args:
                yield from _checked(argument, text, levels - 1)
            return
        case (
            ast.Constant()
            | ast.Attribute()
            | ast.Subscript()
            | ast.Compare()
            | ast.BoolOp()
            | ast.BinOp()
            | ast.UnaryOp()
            | ast.List()
            | ast.Tuple()
            | ast.Set()
        ):
            pass
        case ast.expr_context() | ast.boolop() | ast.operator() | ast.unaryop() | ast.cmpop():
            if not isinstance(node, (ast.Load, ast.And, ast.Or)) and type(node) not in _OPERATIONS:
                raise _refusal(node, text)
            return
        case _:
            raise _refusal(node, text)
    for child in ast.iter_child_nodes(node):
        yield from _checked(child, text, levels - 1)


def _are_singletons(node: ast.Compare) -> bool:
    """Whether everything after an `is` is None, True or False: of other values Python itself warns."""
    pairs = zip(node.ops, node.comparators, strict=True)
    single = (None, True, False)
    return all(
        isinstance(part, ast.Constant) and any(part.value is one for one in single)
        for sign, part in pairs
        if isinstance(sign, (ast.Is, ast.IsNot))
    )


def _refusal(node: ast.AST, text: str) -> RegistrationError:
    message = f"{text!r} uses {type(node).__name__}, which expressions here cannot."
    return RegistrationError(message, remedy="Compare fields of steps, or give a function: when=lambda done: ...")


def _value(node: ast.AST, names: Mapping[str, Any]) -> Any:  # noqa: C901, PLR0911 - one case a kind of node
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.Attribute():
            return _data(field_of(_value(node.value, names), node.attr), node.attr)
        case ast.Subscript():
            return _value(node.value, names)[_value(node.slice, names)]
        case ast.Compare():
            return _compared(node, names)
        case ast.BoolOp():
            return _joined(node, names)
        case ast.BinOp():
            return _OPERATIONS[type(node.op)](_value(node.left, names), _value(node.right, names))
        case ast.UnaryOp():
            return _OPERATIONS[type(node.op)](_value(node.operand, names))
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*(_value(argument, names) for argument in node.args))
        case ast.List() | ast.Tuple() | ast.Set():
            return _BOXES[type(node)]([_value(part, names) for part in node.elts])
        case _:
            raise AssertionError(node)


def _data(value: Any, name: str) -> Any:
    """Return what was read of an object, unless it is its machinery."""
    if (callable(value) and not isinstance(value, type)) or isinstance(value, _MACHINERY):
        message = f"{name!r} is a method or part of the machinery, not a value"
        raise TypeError(message)
    return value


def _joined(node: ast.BoolOp, names: Mapping[str, Any]) -> Any:
    # Lazy, like Python: what comes after the answer is not looked at.
    wanted = isinstance(node.op, ast.Or)
    value: Any = not wanted
    for part in node.values:
        value = _value(part, names)
        if bool(value) is wanted:
            break
    return value


def _compared(node: ast.Compare, names: Mapping[str, Any]) -> bool:
    left = _value(node.left, names)
    for sign, part in zip(node.ops, node.comparators, strict=True):
        right = _value(part, names)
        if not _OPERATIONS[type(sign)](left, right):
            return False
        left = right
    return True


class Deciding(Protocol):
    """Says whether a step runs."""

    text: str
    """In words, for a drawing."""
    names: frozenset[str]
    """The steps it looks at."""
    needs: frozenset[str]
    """Those of them without which it cannot be decided."""

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Return whether the step runs."""
        ...

    def refusal(self, results: Mapping[str, Any]) -> str:
        """Return why it does not, in words."""
        ...


class Condition:
    """Decides whether a step runs, once every step it looks at has ended.

    An expression needs every step it names. A function may ask `done.get("fix")` of a step that was
    skipped; what it cannot do without, `done["fix"]`, skips its own step as well.

    Raises:
        RegistrationError: an expression that cannot be evaluated, or that names no step or no field.
    """

    def __init__(self, when: str | Callable[[Mapping[str, Any]], Any], step: str, earlier: Mapping[str, Any]) -> None:
        """`earlier` has the steps there are by now, with the types they give."""
        self.step = step
        if isinstance(when, str):
            self._decide = Expression(when)
            self.text = when.strip()
            self.names = self.needs = self._decide.names
            self._refuse_strangers(earlier)
            self._decide.check_fields(earlier)
        else:
            self._decide = checked_function(when, f"when= of `{step}`")
            self.text = getattr(when, "__name__", "when").replace("<lambda>", "its condition")
            # A function's own code tells which steps it reads; if it tells nothing, it may read all before it.
            every = frozenset(earlier)
            self.names = (frozenset(_words(getattr(when, "__code__", None))) & every) or every
            self.needs = frozenset[str]()

    def _refuse_strangers(self, earlier: Mapping[str, Any]) -> None:
        strangers = self.names - earlier.keys()
        if strangers:
            message = f"The condition of `{self.step}`, {self.text!r}, names {', '.join(sorted(strangers))}."
            known = ", ".join(sorted(earlier)) or "none yet"
            raise RegistrationError(message, remedy=f"Steps it can look at: {known}.")

    def check_fields(self, kinds: Mapping[str, Any]) -> None:
        """Raise `UnknownField` if it reads a field that steps of these types do not give."""
        if isinstance(self._decide, Expression):
            self._decide.check_fields(kinds)

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Return whether the step runs.

        Raises:
            ConditionError: the condition itself failed.
        """
        seen = {name: results[name] for name in self.names if name in results}
        return decided(self._decide, seen, f"The condition of `{self.step}`", self.names)

    def refusal(self, results: Mapping[str, Any]) -> str:
        """Return why the step does not run, in words."""
        said = [f"{name} said {_short(results[name])}" for name in sorted(self.names) if name in results]
        return f"{self.text} is false" + (f": {', '.join(said)}" if said and len(said) <= 2 else "")  # noqa: PLR2004


def decided(decide: Callable[[Any], Any], value: Any, what: str, reads: frozenset[str] = frozenset()) -> bool:
    """Return what a condition says of a value.

    Raises:
        ConditionError: it raised instead.
    """
    try:
        return bool(decide(value))
    except Exception as error:
        message = f"{what} could not be decided: {type(error).__name__}: {error}."
        remedy = f"It reads {', '.join(sorted(reads))}." if reads else None
        raise ConditionError(message, remedy=remedy) from error


def checked_function(function: Any, what: str) -> Callable[[Any], Any]:
    """Return a function that can decide; raise `DefinitionError` for anything else."""
    if isinstance(function, bool):
        message = f"{what} is already {function}: a comparison of references is made when it is written."
        raise DefinitionError(message, remedy="Write it as text, \"triage.kind == 'bug'\", or as a function.")
    if not callable(function) or iscoroutinefunction(function):
        message = f"{what} has to be an expression or a plain function, not {function!r}."
        raise DefinitionError(message, remedy="when=\"triage.kind == 'bug'\", or when=lambda done: ...")
    return function


def _words(code: CodeType | None) -> Iterator[str]:
    if code is None:
        return
    yield from (word for word in code.co_consts if isinstance(word, str))
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _words(inner)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004
