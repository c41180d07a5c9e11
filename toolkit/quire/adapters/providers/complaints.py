"""What a provider's error means: from its status, its code, and then its words, one of our classes.

A status alone says little: 429 is a wait for one provider and an empty account for another, 400 can be
a prompt too long, a wrong key or a filter, and some errors come with 200. So the code in the body is
asked first, then the message, and the status last.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from quire.adapters.providers.loose import mapping, parsed, rows, text
from quire.core.errors import (
    AuthenticationError,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
    RateLimited,
)

__all__ = ["Complaint", "complaint_in", "read_complaint", "shortened", "to_error", "wait_named"]

_SHORT = 1000

_BY_CODE: dict[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExceeded,
    "exceeded_current_quota_error": QuotaExceeded,
    "insufficient_balance": QuotaExceeded,
    "billing_error": QuotaExceeded,
    "billing_not_active": QuotaExceeded,
    "billing_hard_limit_reached": QuotaExceeded,
    "credit_balance_exhausted": QuotaExceeded,
    "arrearage": QuotaExceeded,
    "1008": QuotaExceeded,
    "invalid_api_key": AuthenticationError,
    "authentication_error": AuthenticationError,
    "invalid_authentication_error": AuthenticationError,
    "incorrect_api_key_error": AuthenticationError,
    "permission_error": AuthenticationError,
    "1004": AuthenticationError,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_error": RateLimited,
    "rate_limit_reached_error": RateLimited,
    "resource_exhausted": RateLimited,
    "1002": RateLimited,
    "engine_overloaded_error": Overloaded,
    "engine_overloaded": Overloaded,
    "overloaded_error": Overloaded,
    "server_overloaded": Overloaded,
    "server_is_overloaded": Overloaded,
    "flex_unavailable": Overloaded,
    "unavailable": Overloaded,
    "slow_down": Overloaded,
    "insufficient_system_resource": Overloaded,
    "context_length_exceeded": ContextTooLong,
    "request_too_large": ContextTooLong,
    "model_not_found": ModelNotFound,
    "model_not_exist": ModelNotFound,
    "deploymentnotfound": ModelNotFound,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "image_content_policy_violation": ContentFiltered,
    "misalignment_policy_violation": ContentFiltered,
    "cyber_policy": ContentFiltered,
    "bio_policy": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,
    "data_inspection_failed": ContentFiltered,
    "invalid_prompt": ContentFiltered,
    "1026": ContentFiltered,
    "1027": ContentFiltered,
    "2013": InvalidRequest,
    "tool_use_failed": InvalidRequest,
}
"""Error codes, types and states of OpenAI and those compatible with it; the numbers are MiniMax's."""

_REFUSALS = (None, 400, 401, 402, 403, 404, 413, 422)
_BY_WORDS: tuple[tuple[tuple[int | None, ...], type[ProviderError], re.Pattern[str]], ...] = tuple(
    (statuses, meaning, re.compile(words, re.IGNORECASE))
    for statuses, meaning, words in (
        (
            (None, 400, 413, 422, 500),
            ContextTooLong,
            (
                r"context[ _](length|window|size)|maximum context|prompt (is )?too long|input length should be"
                r"|input token count|too many (input )?tokens|reduce the length"
            ),
        ),
        (
            (*_REFUSALS, 429),
            QuotaExceeded,
            (
                r"insufficient (quota|balance|credit|fund)|exceeded your current quota|quota exceeded"
                r"|credit balance|balance (is )?(too low|not enough)|out of credits|more credits|arrears|overdue"
            ),
        ),
        (
            (None, 400, 401, 403),
            ContentFiltered,
            (r"content (filter|polic|management polic)|flagged|moderation|inappropriate content|data inspection"),
        ),
        (
            (None, 400, 403),
            AuthenticationError,
            (
                r"(invalid|incorrect|missing|wrong|expired)[ \w]* api[ _-]?key"
                r"|api[ _-]?key (is )?(not valid|invalid|missing)|unauthori[sz]ed|authentication"
            ),
        ),
        (
            (None, 400, 403, 404, 422),
            ModelNotFound,
            (
                r"model\b.*(not found|does ?n.t exist|does not exist|not exist|no longer available|decommissioned)"
                r"|(unknown|no such|not a valid) model|not a valid model id|no endpoints found"
            ),
        ),
        ((None, 429, 500, 502), Overloaded, r"overloaded|at capacity|engine is busy|high demand"),
        ((None,), RateLimited, r"rate.?limit|too many requests"),
    )
)

_BY_STATUS: dict[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: QuotaExceeded,
    403: AuthenticationError,
    408: ProviderTimeout,
    409: ProviderError,
    413: ContextTooLong,
    429: RateLimited,
    498: Overloaded,
    503: Overloaded,
    529: Overloaded,
}

_REMEDIES: dict[type[ProviderError], str] = {
    AuthenticationError: "Check the key, and that it may use this model.",
    QuotaExceeded: "Add credit to the account or raise its limit; trying again does not help.",
    RateLimited: "Send fewer requests at a time, or try again later.",
    Overloaded: "Try again later, or use another model.",
    ContextTooLong: "Send less: shorten the input, the history or the tools' results, or use a model that reads more.",
    ModelNotFound: "Check the model's name, and that base_url is the provider that serves it.",
    InvalidRequest: "Read what the server says above: it did not accept a setting, a message or a tool.",
    ContentFiltered: "Say it differently; the provider's filter decides about this.",
    ProviderTimeout: "Try again, or raise LLM(timeout=...).",
    ProviderError: "Try again; if it stays, the fault is the provider's or that of base_url.",
}
_NO_SUCH_ADDRESS = "There is nothing at this address: check base_url."


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An error as a provider wrote it."""

    message: str = ""
    codes: frozenset[str] = frozenset()
    """Its code, type and state, in lower case."""
    status: int | None = None
    """The HTTP status it names itself, when it came inside a reply that had another."""
    wait: float | None = None
    """The seconds it asks to wait, where it says so outside of its words."""


def read_complaint(body: Any) -> Complaint:
    """Return what an error's JSON says, in any of the shapes that are in use."""
    body = rows(body)[0] if rows(body) else body
    outer = mapping(body)
    inner = outer.get("error")
    error = mapping(inner) or mapping(outer.get("base_resp")) or outer
    spoken = (text(inner), text(error.get("message")), text(error.get("status_msg")), text(error.get("detail")))
    raw = mapping(error.get("metadata")).get("raw")
    message = " ".join(filter(None, (next(filter(None, spoken), ""), text(raw))))
    named = [error.get(name) for name in ("code", "type", "status", "status_code", "http_code")]
    named.append(mapping(error.get("innererror")).get("code"))
    codes = frozenset(str(code).lower() for code in named if isinstance(code, (str, int)))
    return Complaint(message=message, codes=codes, status=_status_among(codes))


def complaint_in(body: Any) -> Complaint | None:
    """Return the error inside a body that should have been a reply; `None` if there is none."""
    outer = mapping(rows(body)[0] if rows(body) else body)
    resp = mapping(outer.get("base_resp"))
    if outer.get("error") or resp.get("status_code"):
        return read_complaint(body)
    return None


def to_error(
    complaint: Complaint,
    *,
    who: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: str = "",
) -> ProviderError:
    """Return the error to raise for a complaint; `who` is the model that was asked."""
    status = status if status and status >= 300 else complaint.status or status  # noqa: PLR2004 - what is no success
    meaning = _meaning(complaint, status)
    said = complaint.message or _first_words(body) or "nothing about why"
    answered = f"answered {status}" if status and status >= 300 else "sent an error"  # noqa: PLR2004 - as above
    filtered = meaning is ContentFiltered
    error = meaning(
        f"{who} {answered}: {shortened(said, 300)}",
        remedy=_remedy(meaning, status, complaint),
        status=status,
        body=complaint.message if filtered and complaint.message else shortened(body),
    )
    if isinstance(error, (RateLimited, Overloaded)):
        error.retry_after = wait_named(headers or {}, complaint.message, complaint.wait)
    return error


def shortened(words: str, most: int = _SHORT) -> str:
    """Return the beginning of a text."""
    return words if len(words) <= most else words[: most - 1] + "…"


def wait_named(headers: Mapping[str, str], message: str, told: float | None = None) -> float | None:
    """Return the seconds a server asks to wait; `None` if it does not say, or says zero.

    Example:
        >>> wait_named({"retry-after": "20"}, "")
        20.0
        >>> wait_named({}, "Please try again in 1m30.5s.")
        90.5
    """
    named = (
        _amount(headers.get("retry-after-ms"), 0.001),
        _amount(headers.get("retry-after"), 1.0),
        _until(headers.get("retry-after")),
        told,
        _in_words(message),
    )
    return next((seconds for seconds in named if seconds is not None and seconds > 0), None)


def _meaning(complaint: Complaint, status: int | None) -> type[ProviderError]:
    for code, meaning in _BY_CODE.items():
        if code in complaint.codes:
            return meaning
    spoken = status if status and status >= 300 else None  # noqa: PLR2004 - what is no success
    for statuses, meaning, words in _BY_WORDS:
        if spoken in statuses and words.search(complaint.message):
            return meaning
    if status == 404:  # noqa: PLR2004 - the protocol's own number
        return InvalidRequest if _is_address_missing(complaint) else ModelNotFound
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return InvalidRequest if status and 400 <= status < 500 else ProviderError  # noqa: PLR2004 - "the request's fault"


def _is_address_missing(complaint: Complaint) -> bool:
    # A web framework's own 404 knows nothing of models.
    return not complaint.message or bool(
        re.match(r"(404 )?(page )?not found|invalid url|unknown (url|request)", complaint.message, re.IGNORECASE)
    )


def _remedy(meaning: type[ProviderError], status: int | None, complaint: Complaint) -> str:
    if status == 404 and meaning is InvalidRequest and _is_address_missing(complaint):  # noqa: PLR2004 - as above
        return _NO_SUCH_ADDRESS
    if status and 300 <= status < 400:  # noqa: PLR2004 - "it is elsewhere"
        return "The server has moved: set base_url to its new address."
    return _REMEDIES[meaning]


def _status_among(codes: frozenset[str]) -> int | None:
    return next((int(code) for code in sorted(codes) if re.fullmatch(r"[45]\d\d", code)), None)


def _first_words(body: str) -> str:
    # A page of HTML is about its title; its markup says nothing.
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL)
    words = title.group(1) if title else re.sub(r"<[^>]*>", " ", body[: 4 * _SHORT])
    return " ".join(words.split()) if parsed(body) is None else ""


def _amount(written: str | None, unit: float) -> float | None:
    try:
        seconds = float(written or "") * unit
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _until(written: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(written or "")
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp() - time.time()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


_AGAIN_IN = re.compile(
    r"(?:try again|retry|wait) (?:in|after|for)?\s*((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s)[a-z]*\s*)+)", re.IGNORECASE
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|h|m|s)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _in_words(message: str) -> float | None:
    found = _AGAIN_IN.search(message)
    if not found:
        return None
    # "m" alone is a minute and "ms" a thousandth of a second, which "milliseconds" would not be.
    spans = re.sub(r"milliseconds?", "ms", found.group(1), flags=re.IGNORECASE)
    return sum(float(amount) * _UNITS[unit.lower()] for amount, unit in _SPAN.findall(spans))
