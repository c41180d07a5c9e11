"""Google's errors: what stands in their details is said in the words that everybody else's errors use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from quire.adapters.providers.complaints import read_complaint, to_error, wait_named
from quire.adapters.providers.loose import mapping, rows, text
from quire.core.errors import ProviderError

__all__ = ["google_error", "without"]

_REASONS = {
    "API_KEY_INVALID": "invalid_api_key",
    "API_KEY_EXPIRED": "invalid_api_key",
    "API_KEY_SERVICE_BLOCKED": "permission_error",
    "BILLING_DISABLED": "billing_not_active",
}
"""The reasons of an `ErrorInfo` whose status says too little: a wrong key is an INVALID_ARGUMENT."""
_SPENT = re.compile(r"credits are depleted|spending (cap|limit)|\blimit: 0\b(?!\.)", re.IGNORECASE)


def google_error(
    body: Any, *, who: str, status: int, headers: Mapping[str, str], words: str, secret: str | None
) -> ProviderError:
    """Return the error to raise for one of Google's; `words` is the whole body, and `secret` is never repeated.

    Example:
        >>> body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down",
        ...     "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}
        >>> error = google_error(body, who="google:m", status=429, headers={}, words="", secret=None)
        >>> type(error).__name__, error.retry_after
        ('RateLimited', 7.0)
    """
    complaint = read_complaint(body)
    details = _details(body)
    codes = complaint.codes | _codes(details, complaint.message)
    # The header goes first, as everywhere; Google puts the wait into the body.
    delay = _delay(details) if wait_named(headers, "") is None else None
    headers = {**headers, "retry-after": delay} if delay else headers
    hidden = replace(complaint, message=without(secret, complaint.message), codes=codes)
    return to_error(hidden, who=who, status=status, headers=headers, body=without(secret, words))


def _details(body: Any) -> list[dict[str, Any]]:
    outer = mapping(rows(body)[0] if rows(body) else body)
    return [mapping(detail) for detail in rows(mapping(outer.get("error")).get("details"))]


def _codes(details: list[dict[str, Any]], message: str) -> set[str]:
    codes = {_REASONS[reason] for detail in details if (reason := text(detail.get("reason"))) in _REASONS}
    violations = [mapping(one) for detail in details for one in rows(detail.get("violations"))]
    # A limit per minute passes by itself; one per day does not, and one of 0 never.
    if _SPENT.search(message) or any("perday" in text(one.get("quotaId")).lower() for one in violations):
        codes.add("insufficient_quota")
    return codes


def _delay(details: list[dict[str, Any]]) -> str | None:
    named = (text(detail.get("retryDelay")) for detail in details)
    return next((delay.removesuffix("s") for delay in named if re.fullmatch(r"\d+(\.\d+)?s", delay)), None)


def without(secret: str | None, words: str) -> str:
    """Return a text in which a key does not stand; some servers repeat a wrong one in full."""
    return words.replace(secret, "[key]") if secret else words
