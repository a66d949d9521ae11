"""The files of deploy/: where they are installed, whether their programs accept them, how far they confine ours."""

from __future__ import annotations

import io
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kiosk.__main__ import environment
from kiosk.config.broker import BrokerConfig, Listen
from kiosk.config.kiosk import KioskConfig
from kiosk.config.loading import load
from kiosk.config.sign_in_page import SignInPageConfig
from kiosk.net.connections import RESERVED_DESCRIPTORS
from kiosk.process.exit_codes import EXIT_NO_TERMINAL
from tests.ssh.machine import DEPLOY, ROOT, Machine, documented, find, needs

# Files for Prometheus and Grafana are not installed on this machine, and tests/fleet has those of a fleet.
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.parent.name not in {"monitoring", "fleet"})
UNITS = [path for path in FILES if path.suffix in {".service", ".socket"}]
# sshd must start as root, change users and use the network.
MOST_EXPOSED = {"kiosk-sshd@.service": 2.5}
MOST_EXPOSED_OTHERWISE = 2.0
BLOCKS = ("base", "broker", "page", "console", "ssh", "shared")
USERS = ("kiosk", "kiosk-broker", "kiosk-sign-in")
EXAMPLES: dict[str, Any] = {
    "console/kiosk.toml": KioskConfig,
    "ssh/kiosk-ssh.toml": KioskConfig,
    "broker/broker.toml": BrokerConfig,
    "sign-in/sign-in.toml": SignInPageConfig,
}
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


def place_of(path: Path) -> str:
    """Return the target path that a file names in its first line, or in the line after ``#!``."""
    lines = [line for line in path.read_text().splitlines()[:2] if not line.startswith("#!")]
    assert lines[0].startswith("# /"), path
    return lines[0].removeprefix("# ")


def relative(path: Path) -> str:
    return str(path.relative_to(DEPLOY))


def systemd_analyze(machine: Machine, *arguments: str) -> str:
    needs("systemd-analyze")
    return machine.run("systemd-analyze", *arguments)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_it_is_installed_where_it_says(machine: Machine, path: Path) -> None:
    if path.name == "shared-sshd.conf":
        machine.install("shared")
    try:
        assert machine.run("cat", place_of(path)) == path.read_text()
    finally:
        machine.install("ssh")
    mode = machine.run("stat", "--format=%a", place_of(path)).strip()
    assert mode == {"broker.toml": "640", "sign-in.toml": "640", "kiosk-vt": "755", "kiosk-ssh": "755"}.get(
        path.name, "644"
    )


def test_the_description_knows_every_file_and_no_other() -> None:
    words = (ROOT / "docs/deploy.md").read_text()
    for path in FILES:
        assert f"`{relative(path)}`" in words
        assert any(f"deploy/{relative(path)}" in documented(block) for block in BLOCKS)
    named = re.findall(r"deploy/([\w./@-]+\w)", "".join(map(documented, BLOCKS)))
    assert set(named) == set(map(relative, FILES))


@pytest.mark.parametrize("path", UNITS, ids=relative)
def test_systemd_finds_no_fault(machine: Machine, path: Path) -> None:
    assert systemd_analyze(machine, "verify", place_of(path)) == ""


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=relative)
def test_services_are_shut_in(machine: Machine, path: Path) -> None:
    said = systemd_analyze(machine, "security", "--offline=true", place_of(path))
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure, said
    assert float(exposure[1]) <= MOST_EXPOSED.get(path.name, MOST_EXPOSED_OTHERWISE), said


@pytest.mark.parametrize(
    ("other", "differences"),
    [
        ("console/kiosk@.service", {"PrivateDevices", "DeviceAllow", "PrivateUsers"}),
        ("sign-in/kiosk-sign-in.service", {"PrivateUsers"}),
    ],
)
def test_the_units_are_shut_in_alike(other: str, differences: set[str]) -> None:
    """They differ from the broker's only on purpose."""
    said = []
    for name in ("broker/kiosk-broker.service", other):
        text = (DEPLOY / name).read_text()
        said.append(set(text[text.index("NoNewPrivileges") : text.index("[Install]")].splitlines()))
        assert "PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.tcache_count=0\n" in text
    differing = {line.partition("=")[0] for line in said[0] ^ said[1] if not line.startswith("#")}
    assert differing == differences


@pytest.mark.parametrize("path", ["ssh/kiosk-ssh", "console/kiosk@.service"])
def test_the_launchers_make_the_environment_in_front_of_python(path: str) -> None:
    """The launcher's environment is complete, and the program does not start Python again to correct it."""
    text = (DEPLOY / path).read_text().replace("\\\n", " ").replace("$$", "$")
    begun = re.search(r"exec /usr/bin/env -i (.*)/opt/recovery-kiosk/bin/python -P -s -m kiosk run", text)
    assert begun
    given = dict(pair.split("=", 1) for pair in re.findall(r'[A-Z_]+=(?:"[^"]*"|\S+)', begun[1]))
    assert set(given) <= set(environment({"SSH_CONNECTION": "x", "SSH_TTY": "x"}))
    known = {name: value for name, value in given.items() if "$" not in value}
    assert known == {name: environment(known)[name] for name in known}
    assert set(environment({})) == set(given) - {"SSH_CONNECTION", "SSH_TTY"}


def test_the_users_have_no_way_in(machine: Machine) -> None:
    accounts = machine.run("getent", "passwd", *USERS).splitlines()
    assert [account.split(":")[5:] for account in accounts] == [
        ["/", "/usr/local/libexec/kiosk-ssh"],
        ["/", "/usr/sbin/nologin"],
        ["/", "/usr/sbin/nologin"],
    ]
    hashes = [line.split(":")[1] for line in machine.run("getent", "shadow", *USERS).splitlines()]
    assert hashes[0] == "*"
    assert set(hashes[1:]) <= {"!*", "!"}
    for user in USERS:
        assert machine.run("id", "--groups", "--name", user).split() == [user]


@pytest.mark.parametrize(
    ("path", "readers"),
    [
        ("/etc/recovery-kiosk/broker.toml", {"kiosk-broker"}),
        ("/var/lib/kiosk-broker", {"kiosk-broker"}),
        ("/etc/recovery-kiosk/sign-in.toml", {"kiosk-sign-in"}),
        ("/etc/recovery-kiosk/kiosk.toml", set(USERS)),
    ],
)
def test_who_may_read_what(machine: Machine, path: str, readers: set[str]) -> None:
    assert {user for user in USERS if may(machine, user, "-r", path)} == readers


@pytest.mark.parametrize("path", ["/etc/recovery-kiosk", "/etc/recovery-kiosk/authorized_keys", "/run/kiosk-broker"])
def test_nobody_but_root_writes(machine: Machine, path: str) -> None:
    assert not [user for user in USERS if may(machine, user, "-w", path)]


def may(machine: Machine, user: str, how: str, path: str) -> bool:
    return "yes" in machine.run("sh", "-c", f"test {how} {path} && echo yes", user=user, check=False)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_examples_load_and_say_the_defaults(tmp_path: Path, name: str) -> None:
    """The settings that are commented out in the examples are the defaults."""
    kind = EXAMPLES[name]
    (tmp_path / "certificate").touch()
    shipped = re.sub(
        '^certificate = ".*"', 'certificate = "certificate"', (DEPLOY / name).read_text(), flags=re.MULTILINE
    )
    said, spoken = tmp_path / "said.toml", tmp_path / "spoken.toml"
    said.write_text(shipped)
    spoken.write_text(re.sub(r"^# (?=\w+ = )", "", shipped, flags=re.MULTILINE))
    assert spoken.read_text() != shipped
    assert load(said, kind) == load(spoken, kind)


def test_over_ssh_only_the_end_of_a_visit_differs() -> None:
    console, ssh = (load(DEPLOY / name, KioskConfig) for name in ("console/kiosk.toml", "ssh/kiosk-ssh.toml"))
    assert (console.visit.after, ssh.visit.after) == ("restart", "exit")
    assert console.sign_in == ssh.sign_in
    assert console.organisation == ssh.organisation


def test_the_example_of_the_page_fits_those_of_the_broker_and_the_kiosk() -> None:
    """What stands in two files is the same in both, and the broker knows the user that the page runs as."""
    broker, page = (
        tomllib.loads((DEPLOY / name).read_text()) for name in ("broker/broker.toml", "sign-in/sign-in.toml")
    )
    assert broker["sign_in"]["page"] == page["listen"]["address"]
    unit = (DEPLOY / "sign-in/kiosk-sign-in.service").read_text()
    assert f"User={broker['sign_in']['page_user']}\n" in unit
    assert page["organisation"] == tomllib.loads((DEPLOY / "console/kiosk.toml").read_text())["organisation"]


def effective(machine: Machine, user: str, *arguments: str) -> dict[str, str]:
    """Return the settings that sshd would apply to this user."""
    needs("sshd", "ssh-keygen")
    machine.run("sh", "-c", f"test -e {HOST_KEY} || ssh-keygen -q -t ed25519 -N '' -f {HOST_KEY}")
    said = machine.run("/usr/sbin/sshd", "-T", "-C", f"user={user},host=h,addr=127.0.0.1", *arguments)
    return dict(line.partition(" ")[::2] for line in said.splitlines())


REFUSED = {
    "forcecommand": "/usr/local/libexec/kiosk-ssh",
    "disableforwarding": "yes",
    "allowtcpforwarding": "no",
    "allowstreamlocalforwarding": "no",
    "allowagentforwarding": "no",
    "x11forwarding": "no",
    "permittunnel": "no",
    "gatewayports": "no",
    "permitopen": "none",
    "permitlisten": "none",
    "permituserrc": "no",
    "permituserenvironment": "no",
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "authenticationmethods": "publickey",
    "compression": "no",
    "maxsessions": "1",
    "clientaliveinterval": "15",
    "clientalivecountmax": "2",
    "unusedconnectiontimeout": "30",
}


def test_what_the_own_sshd_makes_of_its_settings(machine: Machine) -> None:
    said = effective(machine, "kiosk", "-f", "/etc/recovery-kiosk/sshd_config")
    assert {name: said[name] for name in REFUSED} == REFUSED
    assert said["allowusers"] == "kiosk"
    assert "acceptenv" not in said
    assert "subsystem" not in said


def test_what_a_shared_sshd_makes_of_the_match_block(machine: Machine) -> None:
    machine.write(
        Path("/etc/ssh/sshd_config"), "Include /etc/ssh/sshd_config.d/*.conf\nAcceptEnv LANG LC_*\nX11Forwarding yes\n"
    )
    machine.install("shared")
    try:
        said, others = effective(machine, "kiosk"), effective(machine, "root")
    finally:
        machine.install("ssh")
    assert {name: said[name] for name in REFUSED} == REFUSED
    assert said["acceptenv"] == "KIOSK_NOTHING"
    # For everybody else, only compression changes, whatever follows the block.
    assert others["forcecommand"] == "none"
    assert others["x11forwarding"] == "yes"
    assert others["compression"] == "no"


@pytest.mark.parametrize("block", ["ssh", "shared"])
def test_one_address_cannot_take_all_places(machine: Machine, block: str) -> None:
    """Nor all of them with connections that do not sign in, which end after ten seconds."""
    machine.write(Path("/etc/ssh/sshd_config"), "Include /etc/ssh/sshd_config.d/*.conf\n")
    machine.install(block)
    own = ("-f", "/etc/recovery-kiosk/sshd_config") if block == "ssh" else ()
    try:
        said = effective(machine, "kiosk", *own)
    finally:
        machine.install("ssh")
    assert said["logingracetime"] == "10"
    assert 5 * int(said["persourcemaxstartups"]) <= int(said["maxstartups"].split(":")[2])
    unit = (DEPLOY / "ssh/kiosk-sshd.socket").read_text()
    most, of_one = (int(re.findall(rf"^{name}=(\d+)$", unit, re.MULTILINE)[0]) for name in PLACES)
    assert 5 * of_one <= most


PLACES = ("MaxConnections", "MaxConnectionsPerSource")


def test_the_broker_may_open_what_its_limits_allow() -> None:
    unit = (DEPLOY / "broker/kiosk-broker.service").read_text()
    (descriptors,) = re.findall(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE)
    assert int(descriptors) >= Listen().connections + RESERVED_DESCRIPTORS


def test_the_administrators_sshd_does_not_take_the_kiosk(machine: Machine) -> None:
    machine.write(Path("/etc/ssh/sshd_config"), "Include /etc/ssh/sshd_config.d/*.conf\n")
    assert effective(machine, "root")["denyusers"] == "kiosk"


@pytest.mark.parametrize("shell", [["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"]], ids=" ".join)
def test_the_launcher_is_plain_shell(shell: list[str]) -> None:
    if not find(shell[0]):
        pytest.skip(f"needs {shell[0]}, which is not installed")
    launcher = str(DEPLOY / "ssh/kiosk-ssh")
    done = subprocess.run([*shell, launcher], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_NO_TERMINAL
    assert "needs a terminal" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["lock", "1"], [(0x560C, 0), (0x5606, 1), (0x5607, 1), (0x560B, 0)]),
        (["unlock"], [(0x560C, 0)]),
        (["lock"], None),
        (["lock", "x"], None),
        ([], None),
    ],
)
def test_the_console_is_locked_by_these_requests(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: list[tuple[int, int]] | None
) -> None:
    """Against a fake console, because the real requests would lock the console of the person who runs the tests."""
    asked: list[tuple[int, int]] = []
    opened: list[str] = []

    def pretend_to_open(path: str, *_: object, **__: object) -> io.BytesIO:
        opened.append(path)
        return io.BytesIO()

    monkeypatch.setattr("sys.argv", ["kiosk-vt", *arguments])
    monkeypatch.setattr("builtins.open", pretend_to_open)
    monkeypatch.setattr("fcntl.ioctl", lambda _file, request, number: asked.append((request, number)))
    code = compile((DEPLOY / "console/kiosk-vt").read_bytes(), "kiosk-vt", "exec")
    with pytest.raises(SystemExit) as ended:
        exec(code, {"__name__": "__main__"})
    assert ended.value.code == (2 if expected is None else 0)
    assert asked == (expected or [])
    assert opened == (["/dev/tty0"] if expected else [])
