"""Sockets that systemd opens for the broker, as in kiosk-broker.socket (sd_listen_fds)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kiosk.errors import ConfigError
from kiosk.net import serving

Give = Callable[[socket.socket], None]


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Return a function that hands over a socket as systemd does, with another descriptor than 3, which is in use."""

    def hand_over(given: socket.socket) -> None:
        monkeypatch.setattr(serving, "_FIRST_FROM_SYSTEMD", os.dup(given.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")

    return hand_over


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as opened:
        opened.bind(str(tmp_path / "broker.sock"))
        opened.listen()
        yield opened


def test_a_unix_socket_is_taken_over(give: Give, listener: socket.socket, tmp_path: Path) -> None:
    path = tmp_path / "broker.sock"
    path.chmod(0o666)
    give(listener)
    with serving.unix_socket(path) as taken:
        assert taken.getsockname() == str(path)
        assert not taken.get_inheritable()
        with socket.socket(socket.AF_UNIX) as client:
            threading.Thread(target=client.connect, args=[str(path)]).start()
            taken.accept()[0].close()
    # The socket is systemd's: we neither change its mode nor remove it, and the next broker finds it unchanged.
    assert path.exists()
    assert path.stat().st_mode & 0o777 == 0o666
    assert not {"LISTEN_PID", "LISTEN_FDS"} & set(os.environ)


def test_a_tcp_socket_is_taken_over(give: Give) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        give(opened)
        with serving.tcp_socket("broker.example", port) as taken:
            assert taken.getsockname() == ("127.0.0.1", port)
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_one_for_another_process_is_left_alone(
    give: Give, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(listener)
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    with serving.unix_socket(tmp_path / "other.sock") as made:
        assert made.getsockname() == str(tmp_path / "other.sock")
    assert not (tmp_path / "other.sock").exists()


def test_the_unit_and_the_configuration_must_agree(give: Give, listener: socket.socket, tmp_path: Path) -> None:
    give(listener)
    with pytest.raises(ConfigError, match=r"expected systemd to listen here too, not on .*broker\.sock"):
        serving.unix_socket(tmp_path / "other.sock").__enter__()
    give(listener)
    with pytest.raises(ConfigError, match="expected systemd to listen here too"):
        serving.tcp_socket("127.0.0.1", 443).__enter__()
    with socket.create_server(("127.0.0.1", 0)) as opened:
        give(opened)
        with pytest.raises(ConfigError, match="expected systemd to listen here too"):
            serving.tcp_socket("127.0.0.1", 443).__enter__()


@pytest.mark.parametrize("count", ["0", "2", ""])
def test_one_socket_is_expected(
    give: Give, listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: str
) -> None:
    give(listener)
    monkeypatch.setenv("LISTEN_FDS", count)
    with pytest.raises(ConfigError, match="expected one ListenStream"):
        serving.unix_socket(tmp_path / "broker.sock").__enter__()


def test_what_is_no_socket_is_said(give: Give, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr(serving, "_FIRST_FROM_SYSTEMD", os.dup(file.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        with pytest.raises(ConfigError, match="expected a socket"):
            serving.unix_socket(tmp_path / "broker.sock").__enter__()
