"""Files in a conversation: small pictures are seen, everything else is named, and no view grows heavy."""

import json

import pytest

from quire.core.events import Called, Requested, Responded, Returned, Started
from quire.core.messages import File, Message, ToolCall
from quire.core.schema import plain
from quire.views import drawing
from quire.views.files import Album
from tests.kit import folded

CAT = File.of(b"\x89PNG cat", "image/png", name="cat.png")
REPORT = File.of(b"%PDF" * 400, "application/pdf", name="report.pdf")
FAR = File.at("https://example.org/cat.png")
PICTURE = f"data:image/png;base64,{CAT.data}"


def at(seq, kind, span, parent=None, **fields):
    return kind(seq=seq, at=float(seq), run="r", span=span, parent=parent, **fields)


def begun(value):
    return at(1, Started, "1", name="see", of="agent", input=plain(value))


def shown(*events):
    """Return a view's messages, and what the saved ones look like."""
    view = folded(events)
    messages = view["messages"]
    return messages, drawing.conversation_html(view["head"], messages), drawing.conversation_text(messages)


@pytest.mark.parametrize(
    ("file", "size", "has_picture"),
    [
        (CAT, 8, True),
        (File.of(b"<svg/>", "image/svg+xml"), 6, True),
        (REPORT, 1600, False),
        (FAR, None, False),
        (File.of(b"?" * 150_000, "image/png"), 150_000, True),
        (File.of(b"?" * 150_001, "image/png"), 150_001, False),
        (File.of(b"II*", "image/tiff"), 3, False),
        (File.of(b"", "text/plain"), 0, False),
    ],
)
def test_only_small_pictures_travel(file, size, has_picture):
    part = Album().shown(file)
    assert part["size"] == size
    assert part["picture"] == (f"data:{file.media_type};base64,{file.data}" if has_picture else None)


def test_a_view_has_room_for_so_many_pictures_and_names_the_rest():
    album = Album()
    parts = [album.shown(File.of(bytes([n]) * 100_000, "image/png")) for n in range(40)]
    assert 0 < sum(len(part["picture"] or "") for part in parts) <= 2_000_000
    assert parts[0]["picture"] is not None
    assert parts[-1]["picture"] is None
    assert album.shown(CAT)["picture"] == PICTURE  # there may be room for a smaller one


def test_words_and_files_come_in_their_order():
    [message], html, text = shown(begun(["What is this?", CAT, "And this?", REPORT, FAR]))
    assert [part.get("text") or part["name"] for part in message["parts"]] == [
        "What is this?",
        "cat.png",
        "And this?",
        "report.pdf",
        "cat.png",
    ]
    assert f'<img alt="cat.png, image/png" src="{PICTURE}"' in html
    assert html.count("<img") == 1
    assert "report.pdf, application/pdf, 2 kB" in html
    assert "cat.png, image/png, https://example.org/cat.png" in html
    assert text.splitlines()[1:] == [
        "  What is this?",
        "  [cat.png, image/png]",
        "  And this?",
        "  [report.pdf, application/pdf]",
        "  [cat.png, image/png]",
    ]


def test_files_inside_data_are_named_in_it_and_follow():
    [message], _, text = shown(begun({"title": "Cats", "pictures": [CAT, CAT]}))
    data, picture = message["parts"]
    assert json.loads(data["text"]) == {"title": "Cats", "pictures": ["[file 1: cat.png, image/png]"] * 2}
    assert picture["picture"] == PICTURE
    assert "[cat.png, image/png]" in text


def test_a_picture_that_a_tool_gave_stands_below_its_call():
    call = ToolCall(id="c", tool="plot", arguments="{}")
    events = [
        begun("Plot it."),
        at(2, Requested, "2", "1", agent="see", provider="p", model="m", messages=2),
        at(3, Responded, "2", "1", message=Message(role="assistant", parts=(call,)), finish_reason="tool_calls"),
        at(4, Called, "3", "1", tool="plot", call="c", arguments={}),
        at(5, Returned, "3", "1", tool="plot", call="c", result="[file 1: cat.png, image/png]", files=(CAT, REPORT)),
    ]
    (_, reply), html, text = shown(*events)
    [part] = reply["parts"]
    assert part["status"] == "succeeded"
    assert [file["name"] for file in part["files"]] == ["cat.png", "report.pdf"]
    # Outside of the fold, where it is seen at once.
    assert html.index("</details>") < html.index(PICTURE) < html.index("report.pdf, application/pdf")
    assert text.splitlines()[-2:] == ["    [cat.png, image/png]", "    [report.pdf, application/pdf]"]
    assert "files" not in folded(events[:4])["messages"][1]["parts"][0]


def test_names_and_types_are_text_never_markup():
    hostile = File(media_type='image/png" onerror="x', data='"><script>', name="<b>cat</b>")
    drawn = File(media_type="image/png", data='"><script>', name="<b>cat</b>")
    _, html, _ = shown(begun([hostile, drawn]))
    assert "<script>" not in html
    assert "<b>cat" not in html
    assert 'onerror="' not in html
