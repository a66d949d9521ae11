"""The locked lists: nothing that is installed from them is built, and so run, before its hash vouches for it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[1] / "locks"
ONLY_WHEELS = "--only-binary :all:"


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.stem)
def test_every_list_takes_wheels_only_and_by_hash(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == ONLY_WHEELS
    wanted = [line for line in lines if "==" in line]
    assert wanted
    assert all(line.endswith("\\") for line in wanted)


def test_a_source_archive_is_not_built(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1')\n".encode()
    archive = tmp_path / "evil-1.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        for name, content in (("setup.py", setup), ("PKG-INFO", b"Metadata-Version: 2.1\nName: evil\nVersion: 1\n")):
            member = tarfile.TarInfo(f"evil-1/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    wanted = tmp_path / "wanted.txt"
    options = (LOCKS / "kiosk.txt").read_text().splitlines()[0]
    wanted.write_text(f"{options}\nevil==1 --hash=sha256:{digest}\n")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links", str(tmp_path)]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--require-hashes", "-r", str(wanted)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "No matching distribution" in done.stderr
    assert not ran.exists()
