"""Checks of who can replace the kiosk's configuration."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from kiosk.checks import files
from kiosk.checks.result import Level

SOMEBODY = "nobody"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "KIOSK_USER", SOMEBODY)
    made = tmp_path / "home" / "etc"
    made.mkdir(parents=True)
    (made / "kiosk.toml").touch(mode=0o644)
    return made


def give(path: Path) -> None:
    os.chown(path, pwd.getpwnam(SOMEBODY).pw_uid, -1)


def level(folder: Path) -> Level:
    return files.unchangeable(folder / "kiosk.toml", "the configuration").level


def test_a_file_that_only_root_can_change(folder: Path) -> None:
    assert level(folder) is Level.PASS


@pytest.mark.parametrize("given", ["home/etc/kiosk.toml", "home/etc", "home"])
def test_what_belongs_to_the_kiosk_can_be_changed_by_it(folder: Path, tmp_path: Path, given: str) -> None:
    give(tmp_path / given)
    assert level(folder) is Level.FAIL


def test_a_read_only_file_of_its_own_does_not_stop_it(folder: Path) -> None:
    give(folder / "kiosk.toml")
    (folder / "kiosk.toml").chmod(0o444)
    assert level(folder) is Level.FAIL


def test_in_a_folder_for_all_nobody_moves_the_files_of_others(folder: Path) -> None:
    folder.chmod(0o1777)
    assert level(folder) is Level.PASS
