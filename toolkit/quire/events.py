"""Every event a run's log can hold; see `quire.core.events`."""

from quire.core.events import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
from quire.core.events import __all__ as __all__  # noqa: PLC0414
