"""Which requests come from a web page of somebody else's, open in a browser on this computer.

Such a page can reach a local port.  It names itself in `Origin`; or, where it had its own name
point here (DNS rebinding), it names another `Host` than ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})

_OTHER_SITES = frozenset({"cross-site", "same-site"})
"""To a browser another port of this computer is the same site, but another origin."""


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of an ASGI scope by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def names_this_computer(headers: Mapping[str, str]) -> bool:
    """Whether `Host` is a name that every computer has for itself."""
    return _name_of(headers.get("host", "")) in LOOPBACK_NAMES


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site than the one that was asked makes a browser ask.

    `Origin` tells it of whatever writes, `Sec-Fetch-Site` of what a page embeds (a link that a
    person follows is no harm).  The scheme is left out: behind a proxy that speaks TLS it is not
    ours.  Programs, and a browser that opens a page, send neither.
    """
    is_embedded = headers.get("sec-fetch-mode") not in {None, "navigate"}
    if is_embedded and headers.get("sec-fetch-site") in _OTHER_SITES:
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    is_web = parts.scheme in {"http", "https"}
    return not (is_web and parts.netloc and parts.netloc.lower() == headers.get("host", "").lower())


def _name_of(host: str) -> str:
    """The name in a `Host` header; "" where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
