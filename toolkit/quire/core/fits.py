"""Whether a JSON value fits a JSON schema, for those who have the schema of a type and not the type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["mismatch"]


def mismatch(schema: Mapping[str, Any], value: Any) -> str | None:
    """Return in one line what does not fit; `None` if everything does.

    Only what the schema itself says counts: what it refers to elsewhere is never fetched.

    Example:
        >>> mismatch({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}, {"a": "x"})
        "a: 'x' is not of type 'integer'"
        >>> mismatch({"enum": ["low", "high"]}, "low") is None
        True
    """
    # Late, because few ever need it: whoever has the type asks pydantic.
    import jsonschema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    check = cast("Any", jsonschema)  # not all of its types are told
    validator = check.Draft202012Validator(dict(schema), registry=cast("Any", Registry)())
    try:
        found = check.exceptions.best_match(validator.iter_errors(value))
    except Unresolvable as unknown:
        return f"what the schema refers to is not there: {unknown.ref}"
    if found is None:
        return None
    place = found.json_path.removeprefix("$").removeprefix(".")
    return f"{place}: {found.message}" if place else found.message
