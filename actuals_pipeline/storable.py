"""What JSON can spell and Postgres cannot store: NUL, and half of a surrogate pair.

A name that someone cut in the middle of an emoji must not fail the day of its ad.  In labels and
in payloads alike NUL becomes U+FFFD and half a pair a question mark; nothing else changes.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:"
    r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|(?P<nul>u0000)"
    r"|.)",
    re.DOTALL,
)
"""One escape of JSON text; a whole surrogate pair counts as one."""


def storable(text: str) -> str:
    """`text` as a `text` column takes it."""
    return _with_whole_characters(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def storable_json(text: str) -> str:
    """JSON text as a `jsonb` column takes it; whitespace and escapes stay as they are."""
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        # Escape by escape, because a backslash that was sent before "u0000" is written twice.
        text = _ESCAPE.sub(_storable_escape, text)
    return _with_whole_characters(text)


def _storable_escape(escape: re.Match[str]) -> str:
    if escape["half"]:
        return "?"
    return r"\ufffd" if escape["nul"] else escape[0]


def _with_whole_characters(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
