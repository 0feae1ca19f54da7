"""The script that draws charts: Vega, Vega-Lite and vega-embed in one, out of vl-convert's wheel.

It comes with the installation, so that neither the page nor its making asks a network.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import vl_convert

VEGA_LITE = "6.4"
"""The version in which `charts.py` describes charts (that of Altair 6)."""

_SNIPPET = "window.vegaEmbed=vegaEmbed;"


@lru_cache(maxsize=1)
def bundled(home: Path) -> str:
    """The script, for a classic script element; kept under `home`, for bundling takes seconds."""
    kept = (
        home / "report" / f"vega-lite-{VEGA_LITE}-of-vl-convert-{version('vl-convert-python')}.js"
    )
    try:
        return kept.read_text("utf-8")
    except FileNotFoundError:
        pass
    script = vl_convert.javascript_bundle(snippet=_SNIPPET, vl_version=VEGA_LITE)
    # In a function, so that none of its names meets one of the page's.
    script = f"(()=>{{{script}}})();"
    _keep(kept, script)
    return script


def _keep(path: Path, text: str) -> None:
    """Write the file whole or not at all, also when two do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).replace(path)
