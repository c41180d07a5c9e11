"""The tables as they are declared: the one place that says which columns there are, and what they mean.

New columns are added at the end. Missing is NA, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["GROUPINGS", "TABLES", "Column", "Dtype", "Table"]

Dtype: TypeAlias = Literal["string", "category", "Int64", "Float64", "boolean", "datetime64[us, UTC]"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Example:
        >>> next(column for column in TABLES["calls"] if column.name == "latency_s").unit
        's'
    """

    name: str
    dtype: Dtype
    unit: str
    """`s`, `tokens`, `USD`, `JSON`, ...; empty for names, ids, words and plain counts of rows."""
    meaning: str


Table: TypeAlias = tuple[Column, ...]

_TIME: Dtype = "datetime64[us, UTC]"


def _text(name: str, meaning: str) -> Column:
    return Column(name, "string", "", meaning)


def _json(name: str, meaning: str) -> Column:
    return Column(name, "string", "JSON", meaning)


def _word(name: str, meaning: str) -> Column:
    return Column(name, "category", "", meaning)


def _count(name: str, meaning: str) -> Column:
    return Column(name, "Int64", "", meaning)


def _tokens(name: str, meaning: str) -> Column:
    return Column(name, "Int64", "tokens", meaning)


def _seconds(name: str, meaning: str) -> Column:
    return Column(name, "Float64", "s", meaning)


def _money(name: str, meaning: str) -> Column:
    return Column(name, "Float64", "USD", meaning)


def _per_million(name: str, meaning: str) -> Column:
    return Column(name, "Float64", "USD per million tokens", meaning)


def _share(name: str, meaning: str) -> Column:
    return Column(name, "Float64", "0 to 1", meaning)


def _time(name: str, meaning: str) -> Column:
    return Column(name, _TIME, "UTC", meaning)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, "boolean", "", meaning)


_RUN = _text("run", "the run's id")
_SPAN = _text("span", "what the row is about; unique in its run, and the same in every table")
_NODE = _text("node", "the node that made the call: the names below the run's root, joined with /")
_AGENT = _text("agent", "the agent that made the call")
_MODEL = _text("model", "the model that was asked")
_PROVIDER = _word("provider", "who serves the model")
_SESSION = _text("session", "the session; NA outside of one")
_TENANT = _text("tenant", "the tenant; NA outside of one")
_ATTEMPT = _count("attempt", "1 for the first try; NA for what was never tried")
_ERROR_TYPE = _text("error_type", "the class of the error; NA when there was none")
_ERROR = _text("error", "what the error said")

_INPUT = _tokens("input_tokens", "the whole prompt, cached part included; NA when not reported")
_CACHED = _tokens("cached_input_tokens", "the part of the prompt read from the provider's cache")
_OUTPUT = _tokens("output_tokens", "everything generated, reasoning included")
_REASONING = _tokens("reasoning_tokens", "the part of the output that was reasoning")
_COST = _money("cost_usd", "NA when a reply without a known price is in it")
_SIMULATED = _flag("simulated", "whether any of its replies came from a simulated model")

_SUMS = (
    _count("calls", "model calls, failed and unfinished ones included"),
    _INPUT,
    _CACHED,
    _OUTPUT,
    _REASONING,
    _COST,
    _count("unpriced_calls", "calls that were answered or counted, without a known price"),
    _share("cached_share", "cached_input_tokens by input_tokens, over the replies that report both; NA if none does"),
    _seconds("first_token_s", "the median, over the replies that came in pieces; NA if none did"),
    _word("price_source", "where the prices are from, joined by a comma if there are several; NA without any"),
)

_GROUPINGS = (
    _RUN,
    _AGENT,
    _NODE,
    _MODEL,
    _PROVIDER,
    _SESSION,
    _TENANT,
    _time("day", "midnight before the request"),
)

GROUPINGS: dict[str, Column] = {column.name: column for column in _GROUPINGS}
"""What costs can be grouped by."""

TABLES: dict[str, Table] = {
    "runs": (
        _RUN,
        _text("name", "what was run"),
        _word("kind", "step, agent, pipeline, ..."),
        _word("status", "running, waiting, succeeded, failed or cancelled"),
        _text("reason", "why it was cancelled; for a failure, the node whose error only passed through"),
        _time("started_at", "when it began"),
        _seconds("duration_s", "from start to end; NA while it runs"),
        _SESSION,
        _TENANT,
        _text("parent_run", "the run that started it; NA when nobody's part"),
        _count("nodes", "rows of its `nodes`"),
        _count("model_calls", "rows of its `calls`"),
        _count("tool_calls", "rows of its `tools`"),
        _INPUT,
        _CACHED,
        _OUTPUT,
        _REASONING,
        _COST,
        _SIMULATED,
        _flag("replayed", "whether any of its replies came from a recording"),
        _ERROR_TYPE,
        _ERROR,
        _json("tags", "the words it was started with"),
    ),
    "nodes": (
        _RUN,
        _SPAN,
        _text("parent", "the span it belongs to; NA for the root"),
        _text("node", "the names below the run's root, joined with /; the root by its own name"),
        _word("kind", "step, agent, pipeline, tool, ..."),
        _word("status", "running, waiting (for a person), succeeded, failed, cancelled or skipped"),
        _text("reason", "why it was skipped or cancelled; for a failure, the node whose error only passed through"),
        _ATTEMPT,
        _time("started_at", "when it began; NA if skipped"),
        _seconds("queued_s", "how long it waited for its turn; NA, because no event records it yet"),
        _seconds("duration_s", "from start to end; NA while it runs and if skipped"),
        _json("input", "what it was given"),
        _json("output", "what it gave; NA until it succeeds"),
        _tokens("input_tokens", "prompts of its own calls, its children's not included; 0 without calls"),
        _tokens("output_tokens", "replies to its own calls, its children's not included; 0 without calls"),
        _money("cost_usd", "its own calls', not its children's; NA when one has no known price"),
        _ERROR_TYPE,
        _ERROR,
        _count("item", "which of many, from 0: the item of a fan-out or the iteration of a loop; NA otherwise"),
    ),
    "calls": (
        _RUN,
        _SPAN,
        _NODE,
        _AGENT,
        _PROVIDER,
        _MODEL,
        _time("started_at", "when the model was asked"),
        _seconds("latency_s", "from request to end, also of a call that failed; NA while it runs"),
        _seconds("first_token_s", "from request to the first character; NA when the reply came whole"),
        _INPUT,
        _CACHED,
        _tokens("cache_write_tokens", "the part of the prompt written to the provider's cache"),
        _OUTPUT,
        _REASONING,
        _money("cost_usd", "NA when the price is not known, and where nothing was answered or counted"),
        _word("price_source", "who says the price: provider, given, settings, genai-prices, simulated or cache"),
        _word(
            "finish_reason",
            "stop, length, tool_calls, content_filter or error; NA where nothing was answered or counted",
        ),
        _ATTEMPT,
        _flag("simulated", "whether no real model was asked"),
        _flag("replayed", "whether the reply came from a recording"),
        _ERROR_TYPE,
        _share("cached_share", "the part of the prompt read from the provider's cache; NA when not reported"),
        _flag("cached", "whether Quire had the reply already, so that nobody was asked"),
    ),
    "tools": (
        _RUN,
        _SPAN,
        _NODE,
        _AGENT,
        _text("tool", "the tool's name"),
        _json("arguments", "what it was given"),
        _json("result", "what it gave; NA until it returns, and when it raised"),
        _time("started_at", "when it was called"),
        _seconds("duration_s", "from call to return; NA while it runs"),
        _text("approved_by", "who allowed the call; NA when nobody was asked"),
        _seconds("approval_wait_s", "how long the answer took; NA when nobody was asked"),
        _text("permission", "the permission that allowed the call; NA when none was needed"),
        _word("sandbox_tier", "the sandbox that held; NA without one"),
        _ERROR_TYPE,
        _ERROR,
    ),
    "messages": (
        _RUN,
        _SESSION,
        _text("branch", "the branch of the conversation"),
        _count("seq", "place in the run's log; the parts of one reply share it"),
        _time("at", "when it was complete"),
        _count("turn", "from 1 in each agent's span: a reply, what came before it, and the results it asked for"),
        _text("sender", "who speaks: a person, an agent, a tool"),
        _word("role", "system, user, assistant or tool"),
        _word("kind", "text, thinking, tool_call or tool_result"),
        _text("text", "the words; arguments and results as they were passed on"),
        _text("tool", "the tool that is called or that answers"),
        _text("call_span", "the model call that made it, in `calls`; of a result the tool call, in `tools`"),
        _tokens("tokens", "output tokens of the whole reply, on its first row"),
    ),
    "events": (
        _RUN,
        _count("seq", "place in the run's log, from 1"),
        _time("at", "when it happened"),
        _word("kind", "what happened: started, said, ..."),
        _SPAN,
        _text("parent", "the span that span belongs to"),
        _json("data", "the event's own fields, those at their default left out"),
    ),
    "states": (
        _RUN,
        _count("seq", "place in the run's log"),
        _time("at", "when it was recorded: when the step that wrote it ended"),
        _SPAN,
        _text("node", "the step that wrote it: the names below the run's root, joined with /"),
        _text("state", "the name of the state"),
        _text("channel", "the channel that was written"),
        _json("value", "what was written; not what the channel holds since"),
        _text("reducer", "how it is merged with what was there; last if it takes its place"),
        _flag("whole", "whether it is all that the channel held then: a beginning, or an edit of a fork"),
        _flag("counts", "whether the state has it now: not what losers and failed attempts wrote"),
        _count("checkpoint", "place from which the state has it: its step's end; NA until then"),
    ),
    "sessions": (
        _text("session", "its name"),
        _text("agent", "the agent of its last turn"),
        _TENANT,
        _time("started_at", "when it was first used"),
        _time("last_at", "when it was last used"),
        _count("turns", "turns on the branch that goes on, those that a summary hides too"),
        _count("messages", "messages in those turns"),
        _count("branches", "branches, the first included"),
        _count("checkpoints", "places that have a name"),
        _count("head_seq", "place of the last event in its stream"),
        _tokens("input_tokens", "prompts of the turns added to it, on all its branches; NA when not reported"),
        _tokens("output_tokens", "replies in the turns added to it, on all its branches; NA when not reported"),
        _money("cost_usd", "the turns added to it, on all its branches; NA when one has no known price"),
        _text("head", "the branch that goes on"),
        _flag("simulated", "whether any of its replies came from a simulated model"),
    ),
    "session_messages": (
        _text("run", "the run of the turn; NA for a summary that was made outside of one"),
        _text("session", "the session it was added to: of what a fork goes on from, that one"),
        _text("branch", "the branch of that session"),
        _count("seq", "place in that session's stream; what belongs to one turn shares it"),
        _time("at", "when the turn was added"),
        _count("turn", "from 1 in each branch, counted on from where it began"),
        _text("sender", "who speaks: input, an agent, a tool; of a summary whoever made it"),
        _word("role", "user, assistant or tool"),
        _word("kind", "text, file, thinking, tool_call, tool_result or summary"),
        _text("text", "the words; arguments and results as they were passed on"),
        _text("tool", "the tool that is called or that answers"),
        _text("span", "the agent's turn, in `run.nodes`"),
        _tokens("tokens", "output tokens of the whole turn, on the first row of its replies"),
        _flag("hidden", "whether a summary stands for it, so that models are not shown it any more"),
    ),
    "branches": (
        _text("session", "the session"),
        _text("branch", "its name"),
        _flag("head", "whether it is the one that goes on"),
        _text("origin", "the session it goes on from; NA if it began with nothing"),
        _count("origin_seq", "the place there, up to which it shares everything; NA if it began with nothing"),
        _count("turns", "turns, those it shares included"),
        _time("started_at", "when it began"),
        _time("last_at", "when its last turn was added; NA without one"),
    ),
    "checkpoints": (
        _text("session", "the session in which it was made"),
        _text("checkpoint", "its name"),
        _text("branch", "the branch it is on"),
        _count("seq", "the place it means, in that session's stream"),
        _time("at", "when it was made"),
        _count("turns", "turns up to there"),
    ),
    "cost": (_AGENT, _MODEL, _PROVIDER, *_SUMS),
    "costs": (*_GROUPINGS, *_SUMS),
    "reprice": (
        _AGENT,
        _MODEL,
        _PROVIDER,
        _text("other_model", "the model that might have been asked instead"),
        _word("other_provider", "who serves that; NA for a price that is nobody's"),
        _count("calls", "model calls, failed and unfinished ones included"),
        _INPUT,
        _CACHED,
        _OUTPUT,
        _COST,
        _money("other_cost_usd", "what the same tokens cost on the other model; NA when some reply reported none"),
        _money("difference_usd", "other_cost_usd less cost_usd: below 0, the other would have been cheaper"),
        _word("price_source", "who says the other's price: given, settings or genai-prices"),
        _SIMULATED,
    ),
    "models": (
        _PROVIDER,
        _text("model", "its name at that provider"),
        _tokens("context_tokens", "how much it can read at once"),
        _per_million("input_usd", "of a short prompt, where long ones cost more"),
        _per_million("output_usd", "of a reply to a short prompt"),
        _per_million("cached_input_usd", "of what is read from the provider's cache; NA where that is not told apart"),
        _word("price_source", "who says the prices: settings, genai-prices or simulated"),
        _flag("tools", "whether it can be offered tools"),
        _flag("output_schema", "whether the provider holds its replies to a JSON schema; Quire asks otherwise if not"),
        _flag("images", "whether it can be shown pictures"),
        _flag("reasoning", "whether it can think before it answers"),
        _flag("usable", "whether it can be asked now: its key is there, or it needs none; NA if nobody tells"),
        _text("key", "the environment variable for its key; NA if it needs none"),
    ),
}
"""Every table by name; `costs` has those of the first eight columns that it was grouped by."""
