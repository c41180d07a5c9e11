"""Google's errors: what stands in their details is said in the words that everybody else's errors use."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from quire.adapters.providers.complaints import Complaint, read_complaint
from quire.adapters.providers.loose import mapping, rows, text

__all__ = ["google_complaint"]

_REASONS = {
    "API_KEY_INVALID": "invalid_api_key",
    "API_KEY_EXPIRED": "invalid_api_key",
    "API_KEY_SERVICE_BLOCKED": "permission_error",
    "BILLING_DISABLED": "billing_not_active",
}
"""The reasons of an `ErrorInfo` whose status says too little: a wrong key is an INVALID_ARGUMENT."""
_SPENT = re.compile(r"credits are depleted|spending (cap|limit)|\blimit: 0\b(?!\.)", re.IGNORECASE)


def google_complaint(body: Any) -> Complaint:
    """Return what one of Google's errors says.

    Example:
        >>> body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down",
        ...     "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]}}
        >>> google_complaint(body).wait
        7.0
    """
    complaint = read_complaint(body)
    details = _details(body)
    codes = complaint.codes | _codes(details, complaint.message)
    return replace(complaint, codes=codes, wait=_delay(details))


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


def _delay(details: list[dict[str, Any]]) -> float | None:
    named = (text(detail.get("retryDelay")) for detail in details)
    return next((float(delay[:-1]) for delay in named if re.fullmatch(r"\d+(\.\d+)?s", delay)), None)
