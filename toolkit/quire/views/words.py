"""Numbers as the reader sees them.

Raw numbers travel everywhere and become words only here and in the browser's `words.ts`; both print the same, and are
held to the cases in `tests/views/words.json`. Halves are rounded up in decimal, as people do.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["change", "cost", "count", "moment", "money", "seconds", "size", "tokens"]

_NONE = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"


def money(usd: float | None, *, simulated: bool = False) -> str:
    """Write dollars: four decimals below one, two above; None is money that was spent and nobody knows how much.

    Example:
        >>> money(0.032), money(12.4), money(None), money(0, simulated=True)
        ('$0.0320', '$12.40', 'unpriced', '$0 simulated')
    """
    if simulated:
        return "$0 simulated"
    if usd is None:
        return "unpriced"
    if usd == 0:
        return "$0"
    if usd < 0.0001:  # noqa: PLR2004 - the smallest amount that four decimals show
        return "<$0.0001"
    small = _fixed(usd, 4)
    return f"${small}" if small < 1 else f"${_fixed(usd, 2):,}"


def cost(usd: float | None, calls: int, *, simulated: bool = False) -> str:
    """Write what model calls cost: a dash when there were none, so that nothing looks like something unpriced.

    Example:
        >>> cost(0.032, 3), cost(None, 3)
        ('$0.0320', 'unpriced')
    """
    return money(usd, simulated=simulated) if calls or usd else _NONE


def tokens(amount: float | None) -> str:
    """Write a number of tokens: exact below 100,000, then thousands, then millions; an estimate may have a fraction.

    Example:
        >>> tokens(49314), tokens(412345), tokens(1240000)
        ('49,314', '412 k', '1.24 M')
    """
    if amount is None:
        return _NONE
    if amount < 100_000:  # noqa: PLR2004
        return f"{_fixed(amount, 0):,}"
    thousands = _fixed(amount / 1000, 0)
    return f"{thousands} k" if thousands < 1000 else f"{_fixed(amount / 1_000_000, 2):,} M"  # noqa: PLR2004


def size(count: int) -> str:
    """Write how large a file is.

    Example:
        >>> size(812), size(34560), size(1240000)
        ('812 B', '35 kB', '1.2 MB')
    """
    if count < 1000:  # noqa: PLR2004
        return f"{count} B"
    if count < 999_500:  # noqa: PLR2004
        return f"{_fixed(count / 1e3, 0)} kB"
    return f"{_fixed(count / 1e6, 1):,} MB"


def seconds(length: float | None) -> str:
    """Write a length of time.

    Example:
        >>> seconds(0.004), seconds(29.6), seconds(62), seconds(7560)
        ('4 ms', '29.6 s', '1 m 02 s', '2 h 06 m')
    """
    if length is None:
        return _NONE
    thousandths = _fixed(length * 1000, 0)
    return f"{thousandths} ms" if thousandths < 1000 else moment(length)  # noqa: PLR2004


def moment(at: float) -> str:
    """Write a point in time since the start; never in milliseconds, so that a column of them is easy to compare.

    Example:
        >>> moment(0), moment(28.3)
        ('0.0 s', '28.3 s')
    """
    tenths = _fixed(at, 1)
    if tenths < 60:  # noqa: PLR2004
        return f"{tenths} s"
    whole = int(_fixed(at, 0))
    if whole < 3600:  # noqa: PLR2004
        return f"{whole // 60} m {whole % 60:02} s"
    minutes = int(_fixed(at / 60, 0))
    return f"{minutes // 60:,} h {minutes % 60:02} m"


def change(difference: float, words: Callable[[float], str]) -> str:
    """Write how far two values are apart, in the words of one of the functions above.

    Example:
        >>> change(0.01, money), change(0, seconds)
        ('+$0.0100', '0')
    """
    if difference == 0:
        return "0"
    return f"{_MINUS if difference < 0 else '+'}{words(abs(difference))}"


def count(number: int, noun: str) -> str:
    """Write how many there are of something.

    Example:
        >>> count(1, "message"), count(10000, "message")
        ('1 message', '10,000 messages')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _fixed(value: float, digits: int) -> Decimal:
    """Round from the number's shortest decimal form: binary rounding would print 1.005 as 1.00."""
    return Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
