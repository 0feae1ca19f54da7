"""What can be said of the dependencies without a network: hashed, as installed, of usable licences.

Known vulnerabilities cannot: `docs/security.md` says how to look those up.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution, metadata, version

from packaging.markers import Marker
from packaging.requirements import Requirement

from actuals_pipeline.settings import PROJECT_ROOT

LOCK = (PROJECT_ROOT / "deploy" / "requirements.lock").read_text("utf-8")

ENTRIES = [entry.replace("\\\n", " ") for entry in re.split(r"\n(?=\S)", LOCK.strip())]

USABLE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|PSF|Python Software Foundation|LGPL|MPL|ISC|Zlib|CC0|Unlicense)\b"
)
"""Of licences under which a product may use a library unchanged, whatever its own is."""

READ_BY_A_PERSON = {
    # Both of Meta: its platform's terms, which whoever uses its API accepts.
    "facebook-business": "LICENSE.txt",
    "capi-param-builder-python": "LICENSE.txt",
    # MIT by its LICENSE file; the axe-core in it MPL-2.0, by that script's first lines.
    "axe-playwright-python": "",
}
"""Packages whose metadata name no licence."""


def locked() -> dict[str, Requirement]:
    """What of the lock is for this platform and this Python, by name."""
    found = {}
    for entry in ENTRIES:
        requirement = Requirement(entry.partition(" --hash")[0].strip())
        if requirement.marker is None or Marker(str(requirement.marker)).evaluate():
            found[requirement.name.lower()] = requirement
    return found


def test_every_package_is_pinned_and_hashed_and_comes_from_nowhere_in_particular() -> None:
    assert len(ENTRIES) > 50
    hashes = r"(--hash=sha256:[0-9a-f]{64}\s*)+"
    for entry in ENTRIES:
        pinned = r"[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+( ; [^\n]*?)?"
        assert re.fullmatch(rf"{pinned}\s+{hashes}", entry), entry
    assert "://" not in LOCK
    assert not re.search(r"(?m)^\s*-", LOCK.replace("    --hash", "    hash"))


def test_what_is_installed_is_what_is_locked() -> None:
    other = {}
    for name, requirement in locked().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if not requirement.specifier.contains(installed, prereleases=True):
            other[name] = installed
    assert not other


def test_nothing_that_is_needed_is_missing_from_the_lock() -> None:
    """Nor is anything brought in that the lock does not hash."""
    names = set(locked())
    for name in [*names, "actuals_pipeline"]:
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert needed.name.lower().replace("_", "-").replace(".", "-") in {
                    each.replace("_", "-").replace(".", "-") for each in names
                }, (name, text)


def test_every_licence_is_one_that_a_product_may_be_built_on() -> None:
    unusable = {}
    for name in locked():
        facts = metadata(name)
        told = [
            *(facts.get_all("License-Expression") or []),
            *(each for each in facts.get_all("Classifier") or [] if each.startswith("License ::")),
            *(each.partition("\n")[0] for each in facts.get_all("License") or []),
        ]
        said = next(filter(None, told), "")
        if not USABLE.search(said) and READ_BY_A_PERSON.get(name) != said:
            unusable[name] = said
    assert not unusable
