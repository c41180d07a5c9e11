"""What a text says about a wanted value: the city in a question about the weather, the number of an order.

No understanding, only patterns: enough for a program that stands in for a model in examples and tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from quire.adapters.providers.loose import mapping, rows

__all__ = ["FREE_FORMATS", "Clues", "first_sentence", "sentences", "spaced", "stems"]


def _among(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COMMON = _among(
    """a about above after again all also am an and any are as ask asks at be because been before being but by call can
    could did do does doing done each find for from get give given go had has have he help her here him his how i if in
    into is it its just know last let lets like list look make me my need new no not now of ok on one only or order our
    out over own please process reply right say set she should show so some tell than that the their them then there
    these they this those to today tool up us use used using want was we were what when where which who why will with
    would write you your answer question text value"""
)
_PHRASE = 3
_LONG = 4
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]+)*[.!?]*")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\d])")
_MONEY = re.compile(
    r"[$€£¥]\s?(\d[\d,]*(?:\.\d+)?)|(\d[\d,]*(?:\.\d+)?)\s?(?:usd|eur|gbp|dollars?|euros?|cents?)\b", re.IGNORECASE
)
_AMOUNTS = _among("amount price cost total usd eur gbp fee budget sum refund payment paid charge dollars")
_PLACES = _among("city location place country town destination origin region state where area address")
_PEOPLE = _among("name person customer author user who recipient employee assignee patient sender")
_WHOLE = _among("text message input prompt body content question ticket request note comment description")
_SEARCHES = _among("query search topic subject keywords term terms about")
_SUMS = _among("expression formula calculation equation")
_HEADS = _among("title headline heading label subject slug caption")
_SHARES = _among("score confidence probability rating priority likelihood ratio")
_PROPER = r"[A-Z][\w\u2019'.-]*[\w](?:\s+(?:of|de|la|the)?\s*[A-Z][\w\u2019'-]+)*"
_FORMS = {
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
    "uri": r"https?://[\w-]+(?:\.[\w-]+)*(?::\d{2,4})?(?:/[\w./?=&%#~-]*)?",
    "date": r"\b\d{4}-\d\d-\d\d\b",
    "date-time": r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)",
}
FREE_FORMATS = frozenset({"", "password", "path", "binary"})
"""Formats that any text has."""
_ALARM = re.compile(
    r"\b(fire|urgent|broken?|down|crash\w*|errors?|fail\w*|lost|stolen|angry|asap|outage|hacked|emergency|unusable"
    r"|terrible|awful|worst|hate|bad|refund|never|burn\w*|leak\w*|dead|injur\w*|danger\w*)\b",
    re.IGNORECASE,
)
_JOY = re.compile(
    r"\b(great|good|love\w*|excellent|thanks?|happy|wonderful|perfect|best|nice|amazing)\b", re.IGNORECASE
)
_GRAVE = ("critical", "urgent", "severe", "high", "complaint", "negative", "bug", "incident", "yes", "true")
_GLAD = ("positive", "praise", "good", "low", "minor")
_CALM = ("low", "minor", "neutral", "normal", "medium", "other", "question", "general")


def spaced(name: str) -> str:
    """Return an identifier as words: `orderId` and `order_id` are `order id`."""
    return " ".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").lower().split())


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.strip(" .!?-*")]


def first_sentence(text: str, most: int = 160) -> str:
    """Return the beginning of a text, cut at a word."""
    first = next(iter(sentences(text)), text.strip())
    return first if len(first) <= most else first[:most].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def stems(text: str) -> set[str]:
    """Return the words that carry meaning, without their endings."""
    words = (word.lower() for word in _WORD.findall(text.replace("_", " ")))
    return {
        re.sub(r"(?:'s|\u2019s|ing|ies|es|ed|s|e|y)$", "", word) if len(word) >= _LONG else word
        for word in words
        if word not in _COMMON
    }


class Clues:
    """A text to take values from; `data` are values that came with it under a name."""

    def __init__(self, text: str, data: dict[str, Any] | None = None) -> None:
        self.text = text
        self._data = data or {}

    @cached_property
    def _stems(self) -> set[str]:
        return stems(self.text)

    def mentions(self, name: str) -> bool:
        """Whether the words of a name occur, and are not denied."""
        words = spaced(name)
        found = (
            re.search(
                rf"(\b(?:not?|never|without|isn.t|aren.t)\s+(?:\w+\s+)?)?\b{re.escape(words)}", self.text, re.IGNORECASE
            )
            if words
            else None
        )
        if found:
            return not found.group(1)
        wanted = stems(words)
        return bool(wanted) and wanted <= self._stems

    def speaks_of(self, name: str, kind: str) -> bool:
        """Whether there is something for an optional value."""
        if name in self._data:
            return True
        if kind in ("integer", "number"):
            return any(True for _ in self._named_numbers(name))
        return bool(self._named(name)) if kind == "string" else kind == "boolean" and self.mentions(name)

    def choice(self, values: Sequence[Any]) -> Any:
        """Return the value that the text names; failing that, the one that suits its mood, or the first."""
        named = [value for value in values if isinstance(value, str) and value and self._last_place(value) >= 0]
        if named:
            return max(named, key=lambda value: (self._last_place(value), len(value)))
        return self._by_mood(values)

    def _last_place(self, value: str) -> int:
        found = list(re.finditer(rf"\b{re.escape(spaced(value))}\b", self.text, re.IGNORECASE))
        return found[-1].start() if found else -1

    def _by_mood(self, values: Sequence[Any]) -> Any:
        moods = _GRAVE if _ALARM.search(self.text) else _GLAD if _JOY.search(self.text) else _CALM
        words = {spaced(value): value for value in values if isinstance(value, str)}
        return next((words[mood] for mood in moods if mood in words), values[0])

    def numbers(self, name: str, taken: Sequence[float] = ()) -> list[float]:
        """Return numbers that may be meant, the likeliest first; those taken already are meant by their name only."""
        found = [*self._named_numbers(name)]
        if not set(spaced(name).split()) & _SHARES:
            free = [_amount(word) for word in _NUMBER.findall(self.text)]
            for n in taken:
                if n in free:
                    free.remove(n)
            found += free
        return found

    def _named_numbers(self, name: str) -> Iterable[float]:
        given = self._data.get(name)
        if isinstance(given, (int, float)):
            yield given
        words = set(spaced(name).split())
        if words & _AMOUNTS:
            yield from (_amount(one or other) for one, other in _MONEY.findall(self.text))
        for word in words - _COMMON | words & {"order"}:
            stem = re.escape(word.rstrip("s"))
            near = rf"\b{stem}s?\b[\s:=#is]*(-?\d[\d,]*(?:\.\d+)?)|(-?\d[\d,]*(?:\.\d+)?)[\s-]*{stem}s?\b"
            yield from (_amount(one or other) for one, other in re.findall(near, self.text, re.IGNORECASE))

    def strings(self, name: str, form: str = "") -> list[str]:
        """Return texts that may be meant, the likeliest first; none if the text has nothing of that format."""
        words = spaced(name).split()
        by_name = next((known for known in _FORMS if known in words), "uri" if "url" in words else "")
        found = self._formed(form or by_name)
        if form not in FREE_FORMATS:
            return found
        return [text for text in (*found, self._named(name), self._by_kind(name)) if text]

    def _formed(self, form: str) -> list[str]:
        found = re.findall(_FORMS[form], self.text, re.ASCII | re.IGNORECASE) if form in _FORMS else []
        return [words for words in found if not form.startswith("date") or _is_date(words)]

    def _named(self, name: str) -> str | None:
        """Return what the text says by this name."""
        given = self._data.get(name)
        if isinstance(given, str) and given:
            return given
        words = spaced(name).split()
        rules = (
            [rf"\b{re.escape(' '.join(words))}\s*(?::|=|\bis\b)\s*[\"“']?([^\s,;\"”'][^,;.!?\n\"”]*)"] if words else []
        )
        if words and words[-1] in ("id", "number", "no", "code", "ref"):
            rules += [rf"\b{re.escape(words[0])}s?\b[\s#:no.]*(\w*-?\d[\w-]*)", r"#(\w+)"]
        if set(words) & _PLACES:
            rules += [
                rf"\bfrom ({_PROPER})"
                if set(words) & {"origin", "from"}
                else rf"\b(?:in|at|near|to|of|for) ({_PROPER})"
            ]
        if set(words) & _PEOPLE:
            rules += [rf"\b(?:I\u2019m|I'm|I am|my name is|name is|called|for|named|by) ({_PROPER})"]
        if set(words) & _SUMS:
            rules += [r"((?:\d|\()[\d\s+\-*/().^%]*[\d)])"]
        matches = (re.search(rule, self.text, re.IGNORECASE if _PROPER not in rule else 0) for rule in rules)
        return next((found.group(1).strip() for found in matches if found), None)

    def _by_kind(self, name: str) -> str:
        words = set(spaced(name).split())
        if words & _SEARCHES and not words & _HEADS:
            asked = re.search(
                r"\b(?:search(?: the web)?(?: for)?|look up|find|about|for)\s+(.+?)[.?!]*$", self.text, re.IGNORECASE
            )
            return asked.group(1) if asked else first_sentence(self.text)
        if words & _HEADS:
            return " ".join(first_sentence(self.text).rstrip(".!?").split()[:7])
        if words & _PLACES | words & _PEOPLE:
            found = re.search(rf"(?<!^)(?<![.!?] )\b({_PROPER})", self.text)
            return found.group(1) if found else "somewhere" if words & _PLACES else "Someone"
        return self.text.strip() if words & _WHOLE and len(self.text) < 400 else first_sentence(self.text)  # noqa: PLR2004 - a screenful

    def points(self) -> list[str]:
        """Return what could stand in a list: the sentences, or what the text is about."""
        listed = sentences(re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", self.text, flags=re.MULTILINE))
        return listed if len(listed) > 1 else [word.capitalize() for word in self.keywords()] or ["Item"]

    def keywords(self, most: int = 3) -> list[str]:
        """Return what the text is about: its rarer words in order, neighbours together."""
        phrases: list[list[str]] = [[]]
        end = 0
        for found in _WORD.finditer(self.text):
            word = found.group()
            common = re.sub(r"['\u2019]\w+$", "", word.lower()) in _COMMON
            if common or self.text[end : found.start()].strip() or len(phrases[-1]) == _PHRASE:
                phrases.append([])
            phrases[-1] += [] if common else [word]
            end = found.end()
        told = dict.fromkeys(" ".join(phrase) for phrase in phrases if phrase)
        # One phrase can stand for several points, word by word.
        words = dict.fromkeys(word for phrase in phrases for word in phrase)
        return list(told if len(told) >= most else words if len(words) <= most else told)[:most]


def _is_date(written: str) -> bool:
    try:
        return bool(datetime.fromisoformat(written))
    except ValueError:
        return False


def _amount(written: str) -> float:
    n = float(written.replace(",", ""))
    return int(n) if n == int(n) and "." not in written else n


def flattened(value: Any) -> list[str]:
    """Return the words in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [words for part in mapping(value).values() for words in flattened(part)]
    return [words for part in rows(value) for words in flattened(part)]
