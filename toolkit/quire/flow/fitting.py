"""What fits what: whether a step can take what is wired to it, and a class what fills its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from quire.core.errors import DefinitionError, RegistrationError
from quire.core.schema import checked, input_fields, type_name
from quire.flow.wiring import Source, Together, agrees
from quire.run.runnable import Runnable


def check_inputs(source: Source, step: Runnable[Any, Any], name: str) -> None:
    """Raise `RegistrationError` if what is wired to a step no longer fits what it takes."""
    if isinstance(source, Together) and source.names:
        fields = step.fields()
        strangers = [field for field in source.names if field not in fields]
        absent = [field for field, (_, needed) in fields.items() if needed and field not in source.names]
        if strangers or absent:
            problem = f"is given {', '.join(strangers)}" if strangers else f"also needs {', '.join(absent)}"
            message = f"`{name}` {problem}, and takes {', '.join(fields) or 'nothing by name'}."
            raise RegistrationError(message, remedy="Wire its inputs anew.")
    elif isinstance(source, Together):
        kinds = step.takes()
        if len(kinds) != len(source.sources):
            message = f"`{name}` takes {step.input_name}, and gets {len(source.sources)} things."
            raise RegistrationError(message, remedy="Wire its inputs anew.")
    elif not may_take(step, source.type):
        message = f"`{name}` takes {step.input_name}, and gets {type_name(source.type)}."
        raise RegistrationError(message, remedy="Wire its input anew.")


def may_take(step: Runnable[Any, Any], given: Any) -> bool:
    """Whether a step can be given a value of that type."""
    return agrees(given, step.input) or step.takes_anything(given)


def a_runnable(step: Any) -> Runnable[Any, Any]:
    """Return what is a runnable; raise `DefinitionError` for anything else."""
    if isinstance(step, Runnable):
        return cast("Runnable[Any, Any]", step)
    message = f"A flow is made of steps, agents and tools, not {step!r}."
    raise DefinitionError(message, remedy="Put @Step above the function.")


def common_input(steps: Sequence[Runnable[Any, Any]], title: str) -> Any:
    """Return the type that all of these take; raise `RegistrationError` if there is none."""
    kinds = [a_runnable(step).input for step in steps]
    common = next((kind for kind in kinds if all(may_take(step, kind) for step in steps)), None)
    if common is not None or all(kind is None for kind in kinds):
        return common
    words = ", ".join(f"`{step.name}` takes {step.input_name}" for step in steps)
    raise RegistrationError(f"{words}.", where=title, remedy="Side by side, all take the same input.")


def check_fields(kind: Any, given: Mapping[str, Any], title: str) -> None:
    """Raise `RegistrationError` if a class cannot be made of these, by name."""
    fields = input_fields(kind)
    strangers = [name for name in given if name not in fields]
    absent = [name for name, (_, needed) in fields.items() if needed and name not in given]
    misfits = [name for name, made in given.items() if name in fields and not agrees(made, fields[name][0])]
    if not (strangers or absent or misfits):
        return
    wanted = ", ".join(f"{name}: {type_name(kind)}" for name, (kind, _) in fields.items()) or "no fields"
    made = ", ".join(f"{name}: {type_name(kind)}" for name, kind in given.items())
    message = f"{type_name(kind)} has {wanted}; the steps give {made}."
    raise RegistrationError(message, where=title, remedy="Its fields are filled by the steps' names.")


def fits_now(kind: Any, value: Any) -> bool:
    """Whether a value is of a type, or can be made one without mending."""
    try:
        checked(kind, value)
    except ValidationError:
        return False
    return True
