"""What model calls consume."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one model call consumed, in tokens; a part the provider did not report is `None`, never 0.

    Input counts the whole prompt and output everything generated, as OpenTelemetry counts them.

    Example:
        >>> Usage(input_tokens=120, output_tokens=30, cached_input_tokens=100).input_tokens
        120
    """

    input_tokens: int
    """Whole prompt, cached part included."""
    output_tokens: int
    """Everything generated, reasoning included."""
    cached_input_tokens: int | None = None
    """The part of the prompt that was read from the provider's cache."""
    cache_write_tokens: int | None = None
    """The part of the prompt that was written to the provider's cache."""
    reasoning_tokens: int | None = None
    """The part of the output that was reasoning."""
