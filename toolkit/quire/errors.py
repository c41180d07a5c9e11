"""Every error Quire raises; the tree is drawn in `quire.core.errors`."""

from quire.core.errors import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
from quire.core.errors import __all__ as __all__  # noqa: PLC0414
