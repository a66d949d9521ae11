"""Well-configured programs pass all checks, and checking leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from kiosk import __version__
from kiosk.checks import broker_side, kiosk_side
from kiosk.checks.report import Report, line
from kiosk.checks.result import Check, Level, Result, Run, failed, passed
from kiosk.process.exit_codes import EXIT_FAILED
from tests.support.broker import ROOT
from tests.support.checks import CURVE, RSA, Installation, certificate, server
from tests.support.terminal import KIOSK
from tests.support.warm_process import warm_command

MISSING = "sqlalchemy is not installed; this command needs recovery-kiosk[broker]"
# Nobody sits at a terminal here; and who is not root runs the check as the owner of the files.
# The sandbox of most tests has device codes, of which a check warns.
EXCUSED = {"terminal", "sign-in"} | (set() if os.geteuid() == 0 else {"file-modes"})


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return warm_command("check", *arguments)


@pytest.mark.parametrize("side", ["kiosk", "broker"])
def test_everything_passes(healthy: Installation, side: str) -> None:
    results = healthy.results(side)
    wrong = {name: result for name, result in results.items() if result.level is not Level.PASS}
    assert wrong.keys() <= EXCUSED, wrong
    checks = kiosk_side.CHECKS if side == "kiosk" else broker_side.CHECKS
    assert list(results) == [check.name for check in checks]
    assert not any(result.fix for result in results.values() if result.level is Level.PASS)


def test_a_broker_on_https_and_a_certificate_in_a_pfx(healthy: Installation) -> None:
    port, shown = healthy.stack.enter_context(server(healthy.place, certificate(CURVE), CURVE))
    (healthy.place / "shown-key.pem").chmod(0o600)
    key = str(healthy.place / "shown-key.pem")
    healthy.broker["listen"] = {"url": f"https://localhost:{port}", "certificate": str(shown), "key": key}
    encryption = BestAvailableEncryption(b"open sesame")
    pfx = pkcs12.serialize_key_and_certificates(b"broker", RSA, certificate(ends=100), None, encryption)
    (healthy.place / "passphrase").touch(0o600)
    (healthy.place / "passphrase").write_text("open sesame\n")
    healthy.broker["graph"] |= {
        "certificate": str(healthy.certificate(pfx)), "passphrase_file": str(healthy.place / "passphrase")
    }  # fmt: skip
    healthy.write()
    results = healthy.results("broker")
    for name, words in {"listening": "valid for 364 days", "certificate": "valid for 99 days"}.items():
        assert results[name].level is Level.PASS, results[name]
        assert words in results[name].found


def test_nothing_is_left_behind_and_no_key_is_asked_for(healthy: Installation) -> None:
    before = {path: path.read_bytes() for path in healthy.place.iterdir() if path.is_file()}
    healthy.sandbox.clear_requests()
    for side in ("kiosk", "broker"):
        healthy.results(side)
    after = {path: path.read_bytes() for path in healthy.place.iterdir() if path.is_file()}
    assert after == before
    asked = [one["path"] for one in healthy.sandbox.requests()]
    assert asked
    assert not [path for path in asked if "getFileVaultKey" in path]
    # Whatever was asked is a read, but for the code and the two tokens.
    assert {one["path"].rpartition("/")[2] for one in healthy.sandbox.requests() if one["method"] != "GET"} == {
        "devicecode",
        "token",
    }


@pytest.mark.parametrize("side", ["kiosk", "broker"])
def test_the_command_in_words(healthy: Installation, side: str) -> None:
    started = [*KIOSK, "check", "--config", str(healthy.place / f"{side}.toml")]
    ended = subprocess.run(
        started, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert all(len(one) <= 80 for one in lines if " /" not in one and "://" not in one), ended.stdout
    checks = kiosk_side.CHECKS if side == "kiosk" else broker_side.CHECKS
    assert [one.split()[1] for one in lines if one.startswith(("pass", "warn", "FAIL"))] == [
        check.name for check in checks
    ]
    assert lines[-1].endswith("0 failed")


@pytest.mark.parametrize("side", ["kiosk", "broker"])
def test_the_command_as_json(healthy: Installation, side: str) -> None:
    ended = command("--config", healthy.place / f"{side}.toml", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    report = msgspec.json.decode(ended.stdout, type=Report)
    assert json.loads(ended.stdout).keys() == {"side", "file", "version", "level", "results"}
    assert (report.side, report.version) == (side, __version__)
    assert all(one.keys() == {"name", "level", "found", "fix"} for one in json.loads(ended.stdout)["results"])


def test_no_secret_is_said(healthy: Installation) -> None:
    healthy.broker["record"]["database"] = "postgresql+psycopg://broker:hunter2@localhost:1/record"
    token = healthy.place / "token"
    token.write_text("hunter2")
    sink = {"kind": "webhook", "url": "https://localhost:1/", "mode": "required", "token_file": str(token)}
    healthy.broker["sink"] = [sink]
    healthy.write()
    secrets = ["hunter2", "PRIVATE KEY", "eyJ", "user_code", "device_code"]
    secrets += [(healthy.place / "broker.pem").read_text().splitlines()[1]]
    for arguments in ([healthy.kiosk_toml, "--json"], [healthy.broker_toml]):
        said = command("--config", *arguments)
        assert not [secret for secret in secrets if secret in said.stdout + said.stderr]
        assert "Traceback" not in said.stdout + said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_look_is_told_so_and_leaves_nothing(healthy: Installation) -> None:
    healthy.broker_toml.chmod(0o644)
    (healthy.place / "ca.pem").chmod(0o644)
    before = {path.name for path in healthy.place.iterdir()}
    # Everything is imported by then; another user may not read the program.
    healthy.results("broker")
    try:
        os.seteuid(65534)
        results = healthy.results("broker")
        os.seteuid(0)
        (healthy.place / "broker.pem").chmod(0o644)
        os.seteuid(65534)
        later = healthy.results("broker")
    finally:
        os.seteuid(0)
    assert "Permission denied" in results["configuration"].found
    assert "run the check as root" in results["configuration"].fix
    for name in ("record", "database"):
        assert "not checked" in later[name].found
        assert later[name].fix == "run the check as root, or as the broker's user"
    assert {path.name for path in healthy.place.iterdir()} == before


def test_a_failure_is_an_exit_code(healthy: Installation) -> None:
    healthy.kiosk["organisation"]["helpdesc"] = "nobody"
    healthy.write()
    ended = command("--config", healthy.kiosk_toml)
    assert ended.returncode == EXIT_FAILED
    assert "did you mean helpdesk?" in " ".join(ended.stdout.split())
    # What needs no configuration is looked at all the same; what puts the rest right is not said for each.
    assert "swap" in ended.stdout
    assert ended.stdout.count("fix what the check “configuration” found first") < ended.stdout.count("not checked")


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "No such file"),
        ("", [], "expected kiosk.toml or broker.toml"),
        ("[other]\nx = 1\n", [], "--side"),
        ("[broker]\n[sign_in]\n", ["--side", "moon"], "moon"),
        ("[broker]\n[sign_in]\n", ["--fast"], "--fast"),
        ("[broker]\n[sign_in]\n", ["--public-key", "x"], "--public-key is only for the broker"),
    ],
)
def test_a_call_that_cannot_be_used(tmp_path: Path, content: str | None, arguments: list[str], words: str) -> None:
    path = tmp_path / "some.toml"
    if content is not None:
        path.write_text(content)
    ended = command("--config", path, *arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("content", "side"), [("[sign_in\n[visit]\n", "kiosk"), ("[graph]\n[[sink]\n", "broker")])
def test_a_file_with_a_mistake_is_recognised(tmp_path: Path, content: str, side: str) -> None:
    path = tmp_path / "some.toml"
    path.write_text(content)
    ended = command("--config", path, "--json")
    report = msgspec.json.decode(ended.stdout, type=Report)
    assert (report.side, ended.returncode) == (side, EXIT_FAILED)
    assert report.results[0].name == "configuration"
    assert "some.toml" in report.results[0].found


def _never(_: object) -> Any:
    threading.Event().wait()


def _broken(_: object) -> Any:
    raise RuntimeError("hunter2")


def test_a_check_that_hangs_or_breaks_is_a_line() -> None:
    checks = [
        Check("slow", "the moon", _never, 0.05),
        Check("broken", "the sun", _broken),
        Check("odd", "words", lambda _: failed("red\x1b[31m\nalert", "look")),
        Check("fine", "the rest", lambda _: passed("yes")),
    ]
    run: Run[None] = Run(checks, None)
    slow, broken, odd, fine = list(run)
    assert run.given_up == 1
    assert (slow.level, broken.level, fine.level) == (Level.FAIL, Level.FAIL, Level.PASS)
    assert "the moon" in slow.fix
    assert "RuntimeError" in broken.found
    assert "hunter2" not in broken.found
    assert "\x1b" not in line(odd)


def test_a_long_result_stays_within_80_columns() -> None:
    result = Result(name="recorders", level=Level.WARN, found="word " * 60, fix="more words " * 40)
    assert all(len(one) <= 80 for one in line(result).splitlines())


@pytest.mark.parametrize("side", ["kiosk", "broker"])
def test_every_check_is_documented(side: str) -> None:
    documented = (ROOT / "docs" / "check.md").read_text()
    table = documented.partition(f"## Checks of the {side}")[2].partition("\n## ")[0]
    checks = kiosk_side.CHECKS if side == "kiosk" else broker_side.CHECKS
    assert [row.split("`")[1] for row in table.splitlines() if row.startswith("| `")] == [
        check.name for check in checks
    ]


def test_the_kiosks_side_needs_nothing_of_the_broker() -> None:
    code = (
        "import sys, kiosk.checks.kiosk_side, kiosk.cli.check;"
        "sys.exit(bool({'starlette', 'sqlalchemy', 'uvicorn', 'jwt', 'textual', 'kiosk.broker'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


@pytest.mark.parametrize(("side", "code"), [("kiosk", 0), ("broker", 2)])
def test_without_what_only_a_broker_has_installed(healthy: Installation, side: str, code: int) -> None:
    path = healthy.place / f"{side}.toml"
    missing = "for name in ('sqlalchemy', 'starlette', 'uvicorn'): sys.modules[name] = None"
    program = (
        f"import sys\n{missing}\nfrom kiosk.cli.main import cli\ncli(['check', '--config', {str(path)!r}], 'kiosk')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stderr == ("" if side == "kiosk" else f"kiosk: {MISSING}\n")
