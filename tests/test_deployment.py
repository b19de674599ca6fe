"""Dockerfile, compose.yaml and .dockerignore: sound by themselves, and in step with the rest."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from tests.sites import PROCFILE, free_port, is_in_image
from tests.workers import ROOT

BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("release", "web", "worker")
PACKAGES = ("alerts", "billing", "catalog", "circulation", "config")


def steps(name: str, text: str = DOCKERFILE) -> list[str]:
    """Return what stands after an instruction, each time that it is given."""
    return re.findall(rf"^{name} ((?:.*\\\n)*.*)$", text, re.MULTILINE)


def last_words_of(name: str) -> list[str]:
    """Return the words of an instruction in brackets: HEALTHCHECK has options before them."""
    words: list[str] = json.loads("[" + steps(name)[-1].split("[", maxsplit=1)[1])
    return words


def check(*command: str) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_pleases_its_linter() -> None:
    check("hadolint", "Dockerfile")


def test_compose_understands_its_file() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


class TestTheImage:
    def test_what_is_copied_into_it_is_there(self) -> None:
        for sources in steps("COPY"):
            *options, _to = sources.split()
            if not options[0].startswith("--from="):
                assert all(is_in_image(Path(source)) for source in options if source != ".")
                assert all((ROOT / source).exists() for source in options)

    def test_holds_the_code_and_nothing_else(self) -> None:
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        held = {name for name in tracked.stdout.splitlines() if is_in_image(Path(name))}
        code = {name for name in tracked.stdout.splitlines() if name.startswith(PACKAGES)}
        assert code <= held
        assert {name.partition("/")[0] for name in held - code} <= {
            *("LICENSE", "fixtures", "gunicorn.conf.py", "manage.py", "requirements-scale.txt"),
        }

    @pytest.mark.parametrize(
        "name",
        [
            ".env",
            "config/.env",
            ".git/config",
            "carrel.sqlite3",
            "carrel.sqlite3-wal",
            "fixtures/demo.sqlite3",
            "tests/conftest.py",
            "staticfiles/config/carrel.svg",
            ".venv/bin/python",
            "config/__pycache__/urls.cpython-311.pyc",
            "backups/carrel.backup",
        ],
    )
    def test_holds_no_secret_no_data_and_no_leftover(self, name: str) -> None:
        assert not is_in_image(Path(name))

    def test_runs_what_the_procfile_runs_and_not_as_root(self) -> None:
        assert " ".join(last_words_of("CMD")) == PROCFILE["web"]
        assert steps("USER")[-1] == "10001"

    def test_keeps_no_secret_of_its_build(self) -> None:
        kept = "".join(steps("ENV") + steps("ARG"))
        assert not re.search("KEY|PASSWORD|TOKEN|SECRET", kept)

    def test_installs_only_what_the_lock_names(self) -> None:
        [installing] = [run for run in steps("RUN") if "requirements" in run]
        assert "--require-hashes" in installing
        assert "requirements-scale.txt" in installing

    @pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False)])
    def test_asks_whether_its_process_is_well(
        self, http_server: HTTPServer, status: int, is_well: bool
    ) -> None:
        http_server.clear()
        http_server.expect_request("/healthz").respond_with_data("", status=status)
        assert self.is_well(http_server.port) == is_well

    def test_takes_no_answer_for_not_well(self) -> None:
        assert not self.is_well(free_port())

    def is_well(self, port: int) -> bool:
        _python, *words = last_words_of("HEALTHCHECK")
        environment = {**os.environ, "PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
        asked = subprocess.run(
            [sys.executable, *words], env=environment, stderr=subprocess.DEVNULL, check=False
        )
        return asked.returncode == 0


class TestCompose:
    def test_its_services_run_what_the_procfile_runs(self) -> None:
        assert "command" not in SERVICES["web"]  # the image's own
        assert " ".join(SERVICES["worker"]["command"]) == PROCFILE["worker"]
        # Static files are in the image, which nobody can write to.
        assert " ".join(SERVICES["release"]["command"]) == f"{PROCFILE['release']} --no-static"

    def test_nothing_starts_before_what_it_needs(self) -> None:
        for name in ("web", "worker"):
            needs = {on: how["condition"] for on, how in SERVICES[name]["depends_on"].items()}
            assert needs == {
                "release": "service_completed_successfully",
                "database": "service_healthy",
                "redis": "service_healthy",
            }
        assert "database" in SERVICES["release"]["depends_on"]
        assert all("test" in SERVICES[name]["healthcheck"] for name in ("database", "redis"))

    def test_all_but_the_release_come_back_by_themselves(self) -> None:
        policies = {name: service["restart"] for name, service in SERVICES.items()}
        assert policies.pop("release") == "no"
        assert set(policies.values()) == {"unless-stopped"}

    def test_secrets_come_from_the_environment_alone(self) -> None:
        """A variable with a default may not be a secret; a secret has to be given."""
        text = (ROOT / "compose.yaml").read_text()
        given = re.findall(r"\$\{(\w+)(:?[-?])?", text)
        assert {name for name, kind in given if kind == ":?"} == {"POSTGRES_PASSWORD"}
        assert {name for name, kind in given if kind != ":?"} == {"WEB_ADDRESS"}
        for service in SERVICES.values():
            for name, value in service.get("environment", {}).items():
                assert not re.search("PASSWORD|SECRET|TOKEN|KEY", name) or value.startswith("${")

    def test_the_site_listens_on_this_machine_and_its_servers_on_none(self) -> None:
        ports = {name: service.get("ports", []) for name, service in SERVICES.items()}
        assert ports.pop("web") == ["${WEB_ADDRESS:-127.0.0.1:8000}:8000"]
        assert not any(ports.values())
        assert COMPOSE["networks"]["inside"]["internal"]

    def test_the_site_has_no_more_rights_than_it_needs(self) -> None:
        for name in OURS:
            assert SERVICES[name]["read_only"]
            assert SERVICES[name]["cap_drop"] == ["ALL"]
            assert "no-new-privileges:true" in SERVICES[name]["security_opt"]

    def test_pg_dump_is_as_new_as_its_server(self) -> None:
        client = re.search(r"postgresql-client-(\d+)", DOCKERFILE)
        assert client
        assert SERVICES["database"]["image"] == f"postgres:{client[1]}"

    def test_backups_outlive_their_container(self) -> None:
        [(volume, place)] = [each.split(":") for each in SERVICES["worker"]["volumes"]]
        assert volume in COMPOSE["volumes"]
        assert SERVICES["worker"]["environment"]["BACKUP_DIR"] == place
        assert place in DOCKERFILE
