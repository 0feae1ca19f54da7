"""An answer's JSON decoded, with the text of each of its rows as Meta sent it.

A row is looked at once as an object and then stored as text; cut out of the answer, that text
need never be made again.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_BEFORE_ROWS: Final = re.compile(r'[ \t\n\r]*\{[ \t\n\r]*"data"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*')
_BETWEEN_ROWS: Final = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_AFTER_ROWS: Final = re.compile(r"[ \t\n\r]*\]")

_row_at: Final = json.JSONDecoder().raw_decode
_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode


def decoded(content: bytes) -> tuple[Any, list[str]]:
    """What `json.loads` gives, and the JSON text of each element of its list `data`.

    The texts are empty where there is no such list.  `ValueError` when `content` is no JSON.
    """
    text = content.decode(json.detect_encoding(content), "surrogatepass")
    start = _BEFORE_ROWS.match(text)
    if start is not None:
        rows, texts, end = _rows(text, start.end())
        # What surrounds the rows is checked as a whole, with nothing in their place.
        body = json.loads(f'{{"data":null{text[end:]}')
        if body["data"] is None:
            return body | {"data": rows}, texts
    body = json.loads(text)
    listed = body.get("data") if isinstance(body, dict) else None
    return body, list(map(_encoded, listed)) if isinstance(listed, list) else []


def _rows(text: str, place: int) -> tuple[list[Any], list[str], int]:
    """The elements of the list whose inside starts at `place`, their texts, and where it ends."""
    rows: list[Any] = []
    texts: list[str] = []
    end = place
    if not text.startswith("]", place):
        while True:
            row, end = _row_at(text, place)
            rows.append(row)
            texts.append(text[place:end])
            comma = _BETWEEN_ROWS.match(text, end)
            if comma is None:
                break
            place = comma.end()
    bracket = _AFTER_ROWS.match(text, end)
    if bracket is None:
        raise ValueError("the list of rows does not end")
    return rows, texts, bracket.end()
