"""Take secrets out of what a host says and out of what libraries log.

A host that refuses a call quotes it: the token in a message, the address in an error page, the
signature in a header.  What comes from a host therefore passes through `Secrets` before anybody
else reads it, and so does what urllib3 logs, which is the address in full at DEBUG and, of an
answer whose headers are malformed, at WARNING with what the host sent.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Final, Self
from urllib.parse import quote

SECRET_PARAMETERS: Final = frozenset(
    {"access_token", "appsecret_proof", "input_token", "client_secret", "fb_exchange_token"}
)
"""Parameters of the Graph API that nobody may see."""

SHORTEST_SECRET: Final = 6
"""Characters from which a text is a secret.

Chosen: a shorter one guards nothing, and would be found within ordinary words.
"""

_HIDDEN: Final = "***"

_NAMED: Final = re.compile(
    rf"""({"|".join(sorted(SECRET_PARAMETERS))})(=|%3D|["']\s*:\s*["'])"""
    r"""(?:(?!%26)[^&\s'"<>])+""",
    re.IGNORECASE,
)
"""A secret parameter in an address, in an address within an address, or in JSON."""

_TOKEN: Final = re.compile(r"\bEAA[A-Za-z0-9]{10,}")
"""Meta's own tokens, also a part of one or somebody else's: all of them begin like this."""


class Secrets:
    """Texts that nobody may see, in each form in which an answer or an address may hold them."""

    def __init__(self, *texts: str) -> None:
        forms = {form for text in texts for form in _forms(text) if len(text) >= SHORTEST_SECRET}
        # The longest first, because one secret may hold another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __or__(self, other: Self) -> Self:
        both = type(self)()
        both._forms = sorted({*self._forms, *other._forms}, key=len, reverse=True)
        return both

    def hidden_in(self, text: str) -> str:
        """`text` without the secrets, and without whatever else looks like one."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return without_secrets(text)

    def hidden_in_body(self, body: bytes) -> bytes:
        """An answer's body without the secrets; all else stays as it is, to the byte."""
        for form in self._forms:
            body = body.replace(form.encode(), _HIDDEN.encode())
        return body


def without_secrets(text: str) -> str:
    """`text` without the values of secret parameters, and without anything like a token."""
    return _TOKEN.sub(_HIDDEN, _NAMED.sub(rf"\1\2{_HIDDEN}", text))


def keep_out_of_logs(secrets: Secrets) -> None:
    """Let no logger of urllib3 tell `secrets`, from now on and in the whole process."""
    _LOG_FILTER.secrets |= secrets
    # A filter works only on the logger that a record is written to, not on its children.
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] == "urllib3":
            logging.getLogger(name).addFilter(_LOG_FILTER)  # adding it again changes nothing


class _LogFilter(logging.Filter):
    """Takes secrets out of a record, the traceback that it carries included."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = Secrets()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = self.secrets.hidden_in(message)
        if hidden != message:
            record.msg, record.args = hidden, None
        if record.exc_info:
            # Handlers that are given a text do not format the exception themselves.
            told = logging.Formatter().formatException(record.exc_info)
            record.exc_text, record.exc_info = self.secrets.hidden_in(told), None
        return True


_LOG_FILTER: Final = _LogFilter()


def _forms(text: str) -> Iterator[str]:
    """The text itself, percent-encoded once and twice, and as JSON writes it."""
    yield text
    once = quote(text, safe="")
    yield from (once, re.sub("%..", lambda code: code[0].lower(), once), quote(once, safe=""))
    escaped = json.dumps(text)[1:-1]
    yield from (escaped, escaped.replace("/", r"\/"))
