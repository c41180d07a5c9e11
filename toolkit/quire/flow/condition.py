"""When a step runs: a callable on the results so far, or an expression over them, checked when written.

Expressions are a small part of Python: names of steps and their fields, constants, comparisons, `and`,
`or`, `not`, `in`, arithmetic, and the functions `len`, `min`, `max`, `abs`, `any`, `all`. Nothing else
is evaluated, so an expression may come from a file.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, Protocol

from quire.core.errors import ConditionError, RegistrationError

__all__ = ["Condition", "Expression"]


def _times(left: Any, right: Any) -> Any:
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        message = "only numbers can be multiplied here"  # "x" * 10**9 is a weapon
        raise TypeError(message)
    return left * right


_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, box: item in box,
    ast.NotIn: lambda item, box: item not in box,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"len": len, "min": min, "max": max, "abs": abs, "any": any, "all": all}


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
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            message = f"{text!r} is not an expression: {error.msg}."
            raise RegistrationError(message, remedy="Write something like \"triage.kind == 'bug'\".") from None
        self.names = frozenset(_checked(self._tree, text))

    def __call__(self, names: Mapping[str, Any]) -> Any:
        """Return its value for these names."""
        return _value(self._tree, names)


def _checked(node: ast.AST, text: str) -> Iterator[str]:
    """Yield the names an expression reads; refuse whatever is not in the small language."""
    match node:
        case ast.Name():
            yield node.id
            return
        case ast.Attribute() if node.attr.startswith("_"):
            message = f"{text!r} reads {node.attr!r}, which is private."
            raise RegistrationError(message, remedy="Compare public fields.")
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
            for argument in node.args:
                yield from _checked(argument, text)
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
        yield from _checked(child, text)


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
            whole = _value(node.value, names)
            return whole[node.attr] if isinstance(whole, Mapping) else getattr(whole, node.attr)
        case ast.Subscript():
            return _value(node.value, names)[_value(node.slice, names)]
        case ast.Compare():
            return _compared(node, names)
        case ast.BoolOp():
            # Lazy, like Python: what comes after the answer is not looked at.
            wanted = isinstance(node.op, ast.Or)
            value: Any = not wanted
            for part in node.values:
                value = _value(part, names)
                if bool(value) is wanted:
                    break
            return value
        case ast.BinOp():
            return _OPERATIONS[type(node.op)](_value(node.left, names), _value(node.right, names))
        case ast.UnaryOp():
            return _OPERATIONS[type(node.op)](_value(node.operand, names))
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*(_value(argument, names) for argument in node.args))
        case ast.List() | ast.Tuple() | ast.Set():
            return [_value(part, names) for part in node.elts]
        case _:
            raise AssertionError(node)


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

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Return whether the step runs."""
        ...

    def refusal(self, results: Mapping[str, Any]) -> str:
        """Return why it does not, in words."""
        ...


class Condition:
    """Decides whether a step runs, once every step it looks at has ended.

    Raises:
        RegistrationError: an expression that cannot be evaluated, or that names no step.
    """

    def __init__(self, when: str | Callable[[Mapping[str, Any]], Any], step: str, earlier: frozenset[str]) -> None:
        self.step = step
        if isinstance(when, str):
            self._decide = Expression(when)
            self.text = when
            self.names = self._decide.names
            self._refuse_strangers(earlier)
        else:
            self._decide = when
            self.text = getattr(when, "__name__", "when").replace("<lambda>", "its condition")
            # A function's own code tells which steps it reads; if it tells nothing, it may read all before it.
            self.names = (frozenset(_words(getattr(when, "__code__", None))) & earlier) or earlier

    def _refuse_strangers(self, earlier: frozenset[str]) -> None:
        strangers = self.names - earlier
        if strangers:
            message = f"The condition of `{self.step}`, {self.text!r}, names {', '.join(sorted(strangers))}."
            known = ", ".join(sorted(earlier)) or "none yet"
            raise RegistrationError(message, remedy=f"Steps it can look at: {known}.")

    def holds(self, results: Mapping[str, Any]) -> bool:
        """Return whether the step runs.

        Raises:
            ConditionError: the condition itself failed.
        """
        try:
            return bool(self._decide({name: results[name] for name in self.names}))
        except Exception as error:
            message = f"The condition of `{self.step}` could not be decided: {type(error).__name__}: {error}."
            raise ConditionError(message, remedy=f"It reads {', '.join(sorted(self.names)) or 'nothing'}.") from error

    def refusal(self, results: Mapping[str, Any]) -> str:
        """Return why the step does not run, in words."""
        seen = {name: results[name] for name in sorted(self.names)}
        said = [f"{name} said {_short(value)}" for name, value in seen.items()]
        return f"{self.text} is false" + (f": {', '.join(said)}" if said and len(said) <= 2 else "")  # noqa: PLR2004


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
