"""Errors mean the same whoever words them."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from quire.adapters.providers.complaints import read_complaint, to_error, wait_named
from quire.core import errors
from quire.core.errors import ProviderError

CASES: list[tuple[int, Any, type[ProviderError]]] = [
    (
        401,
        {"error": {"message": "Incorrect key", "code": "invalid_api_key", "type": "invalid_request_error"}},
        errors.AuthenticationError,
    ),
    (403, {"error": {"message": "Not for you"}}, errors.AuthenticationError),
    (400, {"error": {"message": "API key not valid. Please pass one."}}, errors.AuthenticationError),
    (401, b"", errors.AuthenticationError),
    (429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, errors.RateLimited),
    (429, "<html><title>Too Many</title></html>", errors.RateLimited),
    (
        429,
        {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
        errors.QuotaExceeded,
    ),
    (402, {"error": {"message": "Insufficient credits"}}, errors.QuotaExceeded),
    (403, {"error": {"message": "quota exceeded", "type": "exceeded_current_quota_error"}}, errors.QuotaExceeded),
    (400, {"error": {"message": "Access denied", "code": "Arrearage"}}, errors.QuotaExceeded),
    (429, {"error": {"message": "busy", "type": "engine_overloaded_error"}}, errors.Overloaded),
    (503, "", errors.Overloaded),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, errors.Overloaded),
    (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, errors.ContextTooLong),
    (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, errors.ContextTooLong),
    (
        400,
        {"error": {"message": "Range of input length should be [1, 100]", "code": "invalid_parameter_error"}},
        errors.ContextTooLong,
    ),
    (404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}, errors.ModelNotFound),
    (404, {"error": {"message": "model 'x' not found, try pulling it first"}}, errors.ModelNotFound),
    (400, {"error": {"message": "Model Not Exist"}}, errors.ModelNotFound),
    (404, {"detail": "Not Found"}, errors.InvalidRequest),
    (404, "<html><body>404</body></html>", errors.InvalidRequest),
    (400, {"error": {"message": "Your prompt was filtered", "code": "content_filter"}}, errors.ContentFiltered),
    (400, {"error": {"message": "no", "code": "data_inspection_failed"}}, errors.ContentFiltered),
    (403, {"error": {"message": "Your input was flagged", "code": 403}}, errors.ContentFiltered),
    (
        400,
        {"object": "error", "message": "temperature must be positive", "type": "BadRequestError", "code": 400},
        errors.InvalidRequest,
    ),
    (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, errors.InvalidRequest),
    (400, [{"error": {"message": "wrapped", "code": "rate_limit_exceeded"}}], errors.RateLimited),
    (408, "", errors.ProviderTimeout),
    (500, "<html><head><title>Oops</title></head></html>", ProviderError),
    (502, "", ProviderError),
    (301, "", ProviderError),
    (200, {"error": {"message": "filtered", "code": "content_filter", "status": 400}}, errors.ContentFiltered),
    (200, {"error": {"message": "Provider returned error", "code": 502}}, ProviderError),
    (200, {"error": {"message": "Rate limit reached", "code": 429}}, errors.RateLimited),
    (200, {"error": "model overloaded"}, errors.Overloaded),
    (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, errors.QuotaExceeded),
]


@pytest.mark.parametrize(("status", "body", "meaning"), CASES)
def test_meaning(status: int, body: Any, meaning: type[ProviderError]):
    error = to_error(read_complaint(body), who="p:m", status=status, body=str(body))
    assert type(error) is meaning
    assert error.what.startswith("p:m ")
    assert error.remedy


def test_a_page_of_html_is_told_by_its_title():
    page = "<!doctype html><html><head><title>Bad\n Gateway</title><style>x{}</style></head></html>"
    error = to_error(read_complaint(None), who="p:m", status=502, body=page)
    assert error.what == "p:m answered 502: Bad Gateway"


def test_the_body_is_kept_short():
    error = to_error(read_complaint({"error": {"message": "m" * 5000}}), who="p:m", status=400, body="b" * 5000)
    assert len(error.what) < 400
    assert error.body is not None
    assert len(error.body) == 1000


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
        ({"retry-after-ms": "0", "retry-after": "0"}, "", None),
        ({"retry-after": "20"}, "try again in 3s", 20.0),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-5"}, "", None),
        ({}, "Please try again in 1.574s.", 1.574),
        ({}, "Please try again in 174ms. Visit", 0.174),
        ({}, "Please try again in 1m30.5s", 90.5),
        ({}, "Please retry after 2 minutes", 120.0),
        ({}, "Please retry after 20 seconds.", 20.0),
        ({}, "Please try again in 250 milliseconds.", 0.25),
        ({}, "Try again later", None),
    ],
)
def test_wait(headers: dict[str, str], message: str, seconds: float | None):
    assert wait_named(headers, message) == (seconds if seconds is None else pytest.approx(seconds))


def test_wait_until_a_date():
    wait = wait_named({"retry-after": formatdate(time.time() + 60, usegmt=True)}, "")
    assert wait is not None
    assert 55 < wait <= 61
