"""The units and the Compose file name what there is: commands, options, variables, secrets."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]

from actuals_pipeline.serving.cli import main
from actuals_pipeline.settings import PROJECT_ROOT, SECRETS, Settings

DEPLOY = PROJECT_ROOT / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
VARIABLES = {str(field.alias) for field in Settings.model_fields.values()}


def checked(arguments: Sequence[str]) -> None:
    """Fail unless the command line takes `arguments`."""
    command: click.Command = main
    context = click.Context(main)
    rest = list(arguments)
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        command = found
        context = click.Context(command, parent=context, info_name=name)
    command.parse_args(context, rest)


def settings_of(unit: Path, key: str) -> list[str]:
    return re.findall(rf"(?m)^{key}=(.*)$", unit.read_text("utf-8"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_and_hands_over_its_secrets_as_files(unit: Path) -> None:
    for line in settings_of(unit, "ExecStart"):
        program, *arguments = shlex.split(line)
        assert program == "/opt/actuals_pipeline/.venv/bin/actuals"
        checked(arguments)
    credentials = {each.partition(":")[0] for each in settings_of(unit, "LoadCredential")}
    handed = set()
    for each in settings_of(unit, "Environment"):
        name, _, value = each.partition("=")
        if name.endswith("_FILE"):
            assert name.removesuffix("_FILE") in SECRETS
            handed.add(value.removeprefix("%d/"))
        else:
            assert name in VARIABLES - SECRETS
    assert handed == credentials


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        # Where it is to be installed there is nothing here.
        text = re.sub(r"/opt/\S+/actuals\b", "/bin/true", unit.read_text("utf-8"))
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_compose_file_names_what_there_is() -> None:
    assert COMPOSE.keys() == {"name", "services", "volumes", "secrets"}
    used: set[str] = set()
    for name, service in COMPOSE["services"].items():
        secrets = set(service["secrets"])
        used |= secrets
        for variable, value in service["environment"].items():
            assert variable.endswith("_FILE") or not value.startswith("/run/secrets"), variable
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in secrets
                is_ours = variable.removesuffix("_FILE") in SECRETS
                assert is_ours or variable == "POSTGRES_PASSWORD_FILE"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_a_file = source.startswith("./") and (DEPLOY / source).is_file()
            assert is_a_file or source in COMPOSE["volumes"]
        assert set(service.get("depends_on", {})) < set(COMPOSE["services"])
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
        if name != "postgres":
            assert service["image"] == "actuals_pipeline"
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
    assert used == set(COMPOSE["secrets"])
    assert {each["file"] for each in COMPOSE["secrets"].values()} == {
        f"secrets/{name}" for name in COMPOSE["secrets"]
    }
    checked(COMPOSE["services"]["actuals"]["command"])
    shell = COMPOSE["services"]["upgrade"]["entrypoint"]
    assert shell[:2] == ["sh", "-c"]
    for line in shell[2].split(" && "):
        checked(shlex.split(line)[1:])


def test_the_image_is_built_of_what_there_is_and_of_the_lock() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    (lock,) = re.findall(r"pip install \S+ --require-hashes -r (\S+)", text)
    assert (PROJECT_ROOT / lock).is_file()
    for line in re.findall(r"(?m)^COPY (.*) \S+$", text):
        for source in line.split():
            assert (PROJECT_ROOT / source).exists(), source
    (uid,) = re.findall(r"--uid (\d+)", text)
    assert f"/var/lib/actuals:uid={uid},mode=0700" in COMPOSE["services"]["upgrade"]["tmpfs"]
    # The package's own requirement, so that the image's Python is one of those it is for.
    assert re.search(r"(?m)^FROM python:3\.1[1-4]-", text)
    checked(["up", "--host", "0.0.0.0"])  # noqa: S104 - inside of its network
    assert re.search(r"(?m)^USER actuals$", text)


def test_no_secret_gets_into_the_repository_or_the_image() -> None:
    assert "/deploy/secrets/" in (PROJECT_ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = (PROJECT_ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    assert not [line for line in ignored if "secret" in line or ".env" in line]
