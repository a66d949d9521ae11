"""The wheel holds everything that the program needs, and runs away from the repository."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from kiosk.i18n import LANGUAGES, SOURCE
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    (built,) = place.glob("*.whl")
    return built


def test_it_holds_the_look_the_people_and_the_pages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "kiosk/kiosk.tcss",
        "kiosk/py.typed",
        "kiosk/sandbox/tenant/people.toml",
        "kiosk/sandbox/phone.css",
        "kiosk/sign_in_page/static/page.css",
        "kiosk/sign_in_page/templates/words.html",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks", "translations"))]


def test_it_speaks_every_language(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"kiosk/locales/{code}/LC_MESSAGES/kiosk.mo" for code in LANGUAGES if code != SOURCE} <= names


def test_the_demo_runs_from_it(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own that has our dependencies, but not this checkout."""
    home = tmp_path / "elsewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=60)
    python = home / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    # A plain path line: what stands there can be imported, its own path files (such as ours, editable) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    zipfile.ZipFile(wheel).extractall(site)
    where = subprocess.run(
        [python, "-P", "-c", "import kiosk; print(kiosk.__file__)"], check=True, capture_output=True, text=True
    ).stdout
    assert where.startswith(str(site))
    kiosk = Terminal([str(python), "-m", "kiosk", "demo", "--person", "Ada"])
    kiosk.wait_for("Press Enter to begin")
    kiosk.press("\r")
    kiosk.wait_for("Type the six digits")
    kiosk.close()
