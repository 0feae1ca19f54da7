"""An answer is decoded as `json.loads` does it, and every row's text is the one that was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actuals_pipeline.meta.decoding import decoded

TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=3) | VALUES, max_size=4)
OTHERS = st.dictionaries(st.sampled_from(["paging", "error", "a", ""]), VALUES, max_size=2)
WRITTEN = st.sampled_from(
    [{}, {"indent": 1}, {"separators": (",", ":")}, {"separators": (" \t, ", "\r\n: ")}]
)


def outcome(decode: Callable[[bytes], Any], content: bytes) -> Any:
    """What comes of `content`, a refusal included."""
    try:
        return decode(content)
    except ValueError:
        return ValueError


@settings(max_examples=150)
@given(rows=ROWS, before=OTHERS, after=OTHERS, written=WRITTEN, is_ascii=st.booleans())
def test_rows_and_their_texts_are_the_ones_that_were_sent(
    rows: list[Any],
    before: dict[str, Any],
    after: dict[str, Any],
    written: dict[str, Any],
    *,
    is_ascii: bool,
) -> None:
    sent = json.dumps({**before, "data": rows, **after}, ensure_ascii=is_ascii, **written)
    body, texts = decoded(sent.encode("utf-8", "surrogatepass"))
    assert body == json.loads(sent)
    assert [json.loads(text) for text in texts] == body["data"]
    if not before:
        places = [sent.find(text) for text in texts]
        assert -1 not in places


@settings(max_examples=300)
@given(
    rows=ROWS,
    others=OTHERS,
    place=st.integers(0, 200),
    length=st.integers(0, 3),
    put=st.text(st.sampled_from('{}[],:"1 \\'), max_size=2),
)
@example(rows=[], others={}, place=10, length=0, put=",")
@example(rows=[1], others={}, place=11, length=0, put=",")
@example(rows=[1], others={}, place=11, length=0, put=" 1")
@example(rows=[1], others={}, place=11, length=1, put="")
def test_what_is_no_json_is_refused_wherever_it_is_broken(
    rows: list[Any], others: dict[str, Any], place: int, length: int, put: str
) -> None:
    text = json.dumps({"data": rows, **others})
    place %= len(text)
    content = (text[:place] + put + text[place + length :]).encode()
    assert outcome(lambda given: decoded(given)[0], content) == outcome(json.loads, content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_an_answer_may_come_in_any_encoding_of_json(encoding: str) -> None:
    sent = '{"data": [{"ad_name": "Größe"}]}'
    assert decoded(sent.encode(encoding)) == (json.loads(sent), ['{"ad_name": "Größe"}'])


@pytest.mark.parametrize(
    "sent", ['{"id": "1"}', '{"data": {"a": 1}}', "[1]", "null", '{"data": 3}']
)
def test_what_has_no_list_of_rows_has_no_texts(sent: str) -> None:
    assert decoded(sent.encode()) == (json.loads(sent), [])


def test_of_two_lists_under_one_name_the_last_counts_as_it_does_for_json() -> None:
    assert decoded(b'{"data": [1], "data": [2]}') == ({"data": [2]}, ["2"])
