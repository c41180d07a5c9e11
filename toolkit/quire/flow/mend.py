"""Mending an output that does not fit its type, field by field, as far as somebody allowed it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from quire.core.errors import RegistrationError
from quire.core.schema import adapter, input_fields, plain, type_name

__all__ = ["checked_ladder", "mend"]

_RUNGS = ("fail", "coerce", "default", "drop_field")
_NUMBER = re.compile(r"-?[\d.,' ]*\d")


def checked_ladder(kind: Any, ladder: Mapping[str, str], step: str) -> dict[str, str]:
    """Return a ladder that can work; raise `RegistrationError` for an unknown field or rung."""
    fields = input_fields(kind)
    for field, rung in ladder.items():
        if rung not in _RUNGS:
            message = f"validation={{{field!r}: {rung!r}}} on `{step}` is no policy."
            raise RegistrationError(message, remedy=f"One of {', '.join(_RUNGS)}.")
        if field not in fields:
            message = f"`{step}` gives {type_name(kind)}, which has no field {field!r} to validate."
            raise RegistrationError(message, remedy=f"Its fields: {', '.join(fields) or 'none'}.")
        if rung == "drop_field" and fields[field][1]:
            message = f"{type_name(kind)} of `{step}` needs {field!r}, so it cannot be dropped."
            raise RegistrationError(message, remedy='"default" fills it; or give the field a default of its own.')
    return dict(ladder)


def mend(kind: Any, value: Any, ladder: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """Return the value with the fields mended that the ladder allows, and which they were.

    Nothing is mended, and no field is named, if a field that does not fit is not on the ladder.
    """
    data = _as_mapping(value)
    if data is None:
        return value, {}
    mended: dict[str, str] = {}
    for field in _misfits(kind, data):
        rung = ladder.get(field, "fail")
        if rung == "fail" or not _mended(kind, data, field, rung):
            return value, {}
        mended[field] = rung
    try:
        return adapter(kind).validate_python(data), mended
    except ValidationError:
        return value, {}


def _as_mapping(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = from_json(value[value.find("{") : value.rfind("}") + 1])
        except ValueError:
            return None
    value = plain(value)
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else None


def _misfits(kind: Any, data: dict[str, Any]) -> list[str]:
    try:
        adapter(kind).validate_python(data)
    except ValidationError as error:
        return list(dict.fromkeys(str(found["loc"][0]) for found in error.errors() if found["loc"]))
    return []


def _mended(kind: Any, data: dict[str, Any], field: str, rung: str) -> bool:
    """Change one field as its rung says; whether that was possible."""
    if rung == "drop_field":
        data.pop(field, None)
        return True
    if rung == "default":
        return _set_default(kind, data, field)
    wanted = _kind_of(kind, field)
    for candidate in _candidates(data.get(field)):
        try:
            data[field] = adapter(wanted).validate_python(candidate)
        except ValidationError:
            continue
        return True
    return False


def _set_default(kind: Any, data: dict[str, Any], field: str) -> bool:
    own = _default_of(kind, field)
    nothings: tuple[Any, ...] = (None, "", 0, 0.0, False, [], {}) if own is _NONE else (own,)
    wanted = _kind_of(kind, field)
    for nothing in nothings:
        try:
            data[field] = adapter(wanted).validate_python(nothing, strict=own is _NONE)
        except ValidationError:
            continue
        return True
    return False


_NONE: Any = object()


def _default_of(kind: Any, field: str) -> Any:
    """Return what a field is when nobody says; `_NONE` when somebody has to."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        info = kind.model_fields[field]
        return _NONE if info.is_required() else info.get_default(call_default_factory=True)
    fields: dict[str, Any] = cast("Any", kind).__dataclass_fields__
    found = fields[field]
    if found.default_factory is not dataclasses.MISSING:
        return found.default_factory()
    return _NONE if found.default is dataclasses.MISSING else found.default


def _kind_of(kind: Any, field: str) -> Any:
    return input_fields(kind)[field][0]


def _candidates(value: Any) -> list[Any]:
    """Return what a value may have been meant as, the likeliest first."""
    words = str(value).strip()
    likely: list[Any] = [words, [value]]
    number = _NUMBER.search(words)
    if number is not None:
        likely[:0] = [_plain_number(number.group())]
    if words.lower() in {"yes", "no", "true", "false", "on", "off"}:
        likely[:0] = [words.lower() in {"yes", "true", "on"}]
    return likely


def _plain_number(text: str) -> str:
    """Return digits as Python reads them: the last comma or point is the decimal one, the others group."""
    text = text.replace(" ", "").replace("'", "")
    comma, point = text.rfind(","), text.rfind(".")
    if comma > point:
        decimals = len(text) - comma - 1
        grouped = text.count(",") > 1 or (decimals == 3 and point < 0)  # noqa: PLR2004 - 1,234 and 1,234,567
        return text.replace(",", "") if grouped else text.replace(".", "").replace(",", ".")
    return text.replace(",", "")
