"""Files among words: shown in order, named in JSON, and known again in a log."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from quire.core.contents import contents, file_in, named, spoken
from quire.core.messages import File, Text
from quire.core.schema import plain, render

CAT = File.of(b"\x89PNG cat", "image/png", name="cat.png")
NOTE = File.of(b"hello", "text/plain")
FAR = File.at("https://example.org/report.pdf")


class Page(BaseModel):
    title: str
    picture: File


@dataclasses.dataclass
class Album:
    pages: list[Page]
    cover: File | None = None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("words", (Text(text="words"),)),
        ("", (Text(text=""),)),
        (CAT, (CAT,)),
        (["What is", CAT, "and", NOTE], (Text(text="What is"), CAT, Text(text="and"), NOTE)),
        (("One.", "Two.", CAT, FAR), (Text(text="One.\n\nTwo."), CAT, FAR)),
        ([CAT, CAT], (CAT, CAT)),
        (["a", "b"], (Text(text='["a","b"]'),)),
        ([], (Text(text="[]"),)),
        (5, (Text(text="5"),)),
        (None, (Text(text="null"),)),
        (["a", 5, CAT], (Text(text='["a",5,"[file 1: cat.png, image/png]"]'), CAT)),
    ],
)
def test_a_value_as_a_model_is_shown_it(value, shown):
    assert contents(value) == shown
    assert contents(plain(value)) == shown  # also as a log has it


def test_a_list_of_words_can_be_read_as_words():
    assert spoken(["a", "b"], words_alone=True) == (Text(text="a\n\nb"),)
    assert spoken(["a", "b"]) is None
    assert spoken(["a", 5], words_alone=True) is None
    assert spoken([], words_alone=True) is None
    assert spoken({"a": CAT}) is None


def test_files_anywhere_in_a_value_are_named_by_place_and_follow_the_words():
    album = Album([Page(title="Cats", picture=CAT), Page(title="Again", picture=CAT)], cover=FAR)
    words, *files = contents(album)
    assert words.text == (
        '{"pages":[{"title":"Cats","picture":"[file 1: cat.png, image/png]"},'
        '{"title":"Again","picture":"[file 1: cat.png, image/png]"}],'
        '"cover":"[file 2: report.pdf, application/pdf]"}'
    )
    assert files == [CAT, FAR]
    assert contents({"unnamed": NOTE})[0].text == '{"unnamed":"[file 1: text/plain]"}'


@pytest.mark.parametrize(
    "data",
    [
        {"media_type": "image/png", "data": None, "url": None, "name": None},
        {"media_type": "image/png", "data": "YQ==", "url": "https://example.org", "name": None},
        {"media_type": "no type", "data": "YQ==", "url": None, "name": None},
        {"media_type": 5, "data": "YQ==", "url": None, "name": None},
        {"media_type": "image/png", "data": ["YQ=="], "url": None, "name": None},
        {"media_type": "image/png", "data": "YQ=="},
        {"media_type": "image/png", "data": "YQ==", "url": None, "name": None, "more": 1},
        "image/png",
        None,
    ],
)
def test_what_only_looks_like_a_file_is_none(data):
    assert file_in(data) is None
    assert named([data]) == ([data], ())


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from([CAT, NOTE, FAR])),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
        max_leaves=20,
    )
)
def test_no_byte_of_a_file_is_among_the_words(value):
    data, files = named(value)
    assert CAT.data not in render(data)
    assert len(set(files)) == len(files)
    assert named(plain(value)) == (data, files)
    if not files:
        assert data == plain(value)
