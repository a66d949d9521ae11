"""Every program ends with the exit codes that ``docs/startup.md`` lists, and with one meaning for each."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kiosk.cli import fast_path
from kiosk.cli.command_errors import reports_errors
from kiosk.errors import ConfigError
from kiosk.process import exit_codes
from kiosk.process.exit_codes import EXIT_CONFIGURATION, EXIT_CRASH, EXIT_DONE, EXIT_FAILED, EXIT_NO_TERMINAL
from tests.support.warm_process import warm_command

ROOT = Path(__file__).parents[2]
FOR_THE_SUPERVISOR = {"EXIT_ENOUGH", "EXIT_DISTURBED", "EXIT_OTHER_UI"}
KIOSK = """\
[organisation]
name = "Nordwind"
helpdesk = "Ground floor"
[sign_in]
method = "device_code"
[device_code]
authority = "https://login.example/tenant"
client_id = "client"
scope = "api://kiosk/Session.Open"
"""


def ended(*words: str) -> subprocess.CompletedProcess[str]:
    if words[0] != "run":
        return warm_command(*words)
    return subprocess.run(
        [sys.executable, "-m", "kiosk", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_two_codes_are_the_same_and_each_that_a_program_ends_with_is_documented() -> None:
    codes = {name: int(code) for name, code in vars(exit_codes).items() if name.startswith("EXIT_")}
    assert len(set(codes.values())) == len(codes)
    section = (ROOT / "docs/startup.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert documented == {code for name, code in codes.items() if name not in FOR_THE_SUPERVISOR} | {143}


@pytest.mark.parametrize(
    "words",
    [
        ["walk"],
        ["run"],
        ["run", "--config", "/nowhere.toml"],
        ["run", "--linear", "--config", "/nowhere.toml"],
        ["broker", "--config", "/nowhere.toml"],
        ["sandbox", "--config", "/nowhere.toml"],
        ["check", "--config", "/nowhere.toml"],
        ["audit", "show", "--config", "/nowhere.toml"],
        ["audit", "verify", "--config", "/nowhere.toml", "--public-key", "/nowhere.pem"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_used_is_2(words: list[str]) -> None:
    done = ended(*words)
    assert (done.returncode, done.stdout) == (EXIT_CONFIGURATION, "")
    assert "Traceback" not in done.stderr
    if words[-1] == "/nowhere.toml":
        assert done.stderr.count("\n") == 1
        assert re.search(r"/nowhere\.toml: expected .+: No such file or directory", done.stderr), done.stderr


@pytest.mark.parametrize("words", [["run"], ["run", "--linear"]], ids=" ".join)
def test_no_terminal_is_66(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text(KIOSK)
    assert ended(*words, "--config", str(path)).returncode == EXIT_NO_TERMINAL


def as_command(result: int | Exception | None) -> click.Command:
    @click.command()
    @reports_errors
    def command() -> int | None:
        if isinstance(result, Exception):
            raise result
        return result

    return command


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        (None, EXIT_DONE, ""),
        (EXIT_FAILED, EXIT_FAILED, ""),
        (ConfigError("kiosk.toml", "expected TOML"), EXIT_CONFIGURATION, "kiosk: kiosk.toml: expected TOML"),
        (ValueError("a secret"), EXIT_CRASH, "kiosk: internal error: ValueError at test_exit_codes.py:"),
        (ModuleNotFoundError(name="kiosk.api"), EXIT_CRASH, "kiosk: internal error: ModuleNotFoundError at "),
        (ModuleNotFoundError(name="starlette"), EXIT_CONFIGURATION, "starlette is not installed; this command needs "),
        (click.UsageError("no such option"), EXIT_CONFIGURATION, "no such option"),
    ],
)
def test_a_command_ends_with_a_defined_code(result: int | Exception | None, code: int, said: str) -> None:
    """An unexpected error is not 1: for ``kiosk audit verify`` that would say that somebody changed the record."""
    done = CliRunner().invoke(as_command(result))
    assert done.exit_code == code
    assert said in done.stderr
    assert "secret" not in done.output


def test_a_crash_of_the_launcher_is_70_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(path: Path, *, linear: bool) -> int:
        raise OSError(f"{path} {linear} secret")

    path = tmp_path / "kiosk.toml"
    path.write_text(KIOSK)
    monkeypatch.setattr(fast_path, "run_kiosk", crash)
    assert fast_path.run_directly(["run", "--config", str(path)]) == EXIT_CRASH
    assert re.fullmatch(r"kiosk: internal error: OSError at test_exit_codes\.py:\d+ .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["demo", "sandbox", "broker"])
def test_a_missing_library_names_extras_that_exist(name: str) -> None:
    group = click.Group("kiosk", {name: as_command(ModuleNotFoundError(name="uvicorn"))})
    done = CliRunner().invoke(group, [name], prog_name="kiosk")
    (extras,) = re.findall(r"recovery-kiosk\[(.+)\]", done.stderr)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
