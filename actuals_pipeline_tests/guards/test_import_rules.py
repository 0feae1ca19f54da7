"""Who may import whom: the subject knows nothing of the framework, nor of the database."""

from __future__ import annotations

import pytest

from actuals_pipeline_tests.guards.imports import PACKAGE, files, imported, ours, packages

GROUND = {
    *("currencies", "errors", "findings", "report_days", "frames", "money", "storable", "videos"),
}
"""Modules without a package of their own that any package may use."""

MAY_USE = {
    "meta": set(),
    "actuals": set(),
    "accuracy": set(),
    "spend": set(),
    # Its addresses hold secrets, too.
    "alerts": {"meta.secrecy"},
    "graph_stand_in": set(),
    # What fetches leave for later ones is declared where it is used and kept where it lasts.
    "warehouse": {"meta.memory", "accuracy.contract", "alerts.rules", "alerts.delivery"},
    "orchestration": {
        *("meta", "actuals", "accuracy", "spend", "alerts", "warehouse", "settings", "serving"),
    },
    "serving": {
        *("meta", "actuals", "accuracy", "spend", "alerts", "warehouse", "settings"),
        *("graph_stand_in", "orchestration"),
    },
}
"""For each package the packages or modules that it may import, besides itself and `GROUND`."""

DATABASE = {"psycopg", "psycopg2", "sqlalchemy", "alembic"}
FACEBOOK = {"facebook_business"}

BEFORE_THE_UI = ("actuals_pipeline.serving.ui_gate", "actuals_pipeline.serving.listening")
"""No readers, but what stands before Dagster's webserver and what it listens on."""

KEPT_OUT_OF = {
    "meta": DATABASE,
    "actuals": DATABASE | FACEBOOK | {"requests"},
    "accuracy": DATABASE | FACEBOOK | {"requests"},
    "spend": DATABASE | FACEBOOK | {"requests"},
    "alerts": DATABASE | FACEBOOK,
    "graph_stand_in": DATABASE | FACEBOOK,
    "warehouse": FACEBOOK | {"requests"},
    "orchestration": FACEBOOK | {"requests"},
    "serving": FACEBOOK | {"requests"},
}
"""For each package the libraries that are not its business."""


def test_every_package_has_its_rules() -> None:
    assert packages() == MAY_USE.keys() == KEPT_OUT_OF.keys()


def test_only_the_orchestration_imports_dagster() -> None:
    importing = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if any(module.split(".")[0].startswith("dagster") for module in imported(path))
    }
    assert importing == {"orchestration"}


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = {package, *GROUND, *MAY_USE[package]}
    strays = {
        f"{path.relative_to(PACKAGE)}: {module}"
        for path in files(package)
        for module in imported(path)
        if ours(module) not in {None, *allowed}
        and not any(f"{module}.".startswith(f"actuals_pipeline.{each}.") for each in allowed)
    }
    assert not strays


@pytest.mark.parametrize("package", KEPT_OUT_OF)
def test_a_package_leaves_alone_what_is_not_its_business(package: str) -> None:
    strays = {
        f"{path.relative_to(PACKAGE)}: {module}"
        for path in files(package)
        for module in imported(path)
        if module.split(".")[0] in KEPT_OUT_OF[package]
    }
    assert not strays


def test_the_orchestration_is_reached_from_two_places_only() -> None:
    """A command that only reads must not start Dagster."""
    reaching = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "orchestration"
        and any(ours(module) == "orchestration" for module in imported(path))
    }
    assert reaching == {"definitions.py", "serving/dagster_runs.py"}


def test_the_http_interface_alone_loads_its_libraries_and_only_its_command_loads_it() -> None:
    """Every other command starts without them; the stand-in is Starlette alone."""
    libraries = {"fastapi", "prometheus_client"}
    importing = {
        path.parent.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(module.split(".")[0] in libraries for module in imported(path))
    }
    assert importing == {"serving/http"}
    interface = "actuals_pipeline.serving.http"
    reaching = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "http"
        and any(f"{module}.".startswith(f"{interface}.") for module in imported(path))
    }
    assert reaching == {"serving/cli.py"}


def test_of_the_readers_the_orchestration_uses_the_doctor_a_fetch_and_the_report_alone() -> None:
    """The daily check is what `actuals doctor` checks, one asset shows the report.

    And one job fetches what `actuals fetch` does.
    """
    used = {
        f"{path.name}: {module}"
        for path in files("orchestration")
        for module in imported(path)
        if ours(module) == "serving"
        and not module.startswith((*BEFORE_THE_UI, "actuals_pipeline.serving.report"))
    }
    package = "actuals_pipeline.serving"
    assert used == {
        *(f"checks.py: {package}", f"checks.py: {package}.doctor"),
        *(f"single_ads.py: {package}", f"single_ads.py: {package}.single_ad"),
    }


def test_nothing_is_called_by_a_name_that_says_nothing() -> None:
    banned = {"utils", "helpers", "common", "base", "manager", "handler", "data", "info", "misc"}
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem in banned]
