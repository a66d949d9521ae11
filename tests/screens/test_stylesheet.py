"""Every rule of the style sheet styles something that exists: a name that changed elsewhere is not lost in silence."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

from textual.screen import Screen
from textual.widget import Widget

import kiosk.screens
import kiosk.widgets
from kiosk.fullscreen.app import stylesheet

SELECTORS = re.sub(r"/\*.*?\*/|\{.*?\}", " ", stylesheet().read_text(), flags=re.DOTALL)
MODULES = [
    importlib.import_module(f"{package.__name__}.{module.name}")
    for package in (kiosk.screens, kiosk.widgets)
    for module in pkgutil.iter_modules(package.__path__)
]
SOURCE = "".join(Path(str(module.__file__)).read_text() for module in MODULES)


def _widgets() -> dict[str, type[Widget]]:
    found = {kind.__name__: kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type)}
    return {name: kind for name, kind in found.items() if issubclass(kind, Widget) and kind.__module__[:5] == "kiosk"}


def test_every_type_is_a_widget_or_a_screen_of_ours() -> None:
    named = set(re.findall(r"(?<![\w.#-])[A-Z]\w+", SELECTORS))
    assert named - {Screen.__name__} <= set(_widgets())


def test_every_part_is_a_component_of_a_widget() -> None:
    parts = {name for name in re.findall(r"\.([\w-]+)", SELECTORS) if "--" in name}
    assert parts <= {name for kind in _widgets().values() for name in kind.COMPONENT_CLASSES}


def test_every_class_and_id_is_given_to_something() -> None:
    given = re.findall(r"[.#](\w[\w-]*|-\w[\w-]*)", SELECTORS)
    unknown = {name for name in given if "--" not in name and not re.search(rf'["\s]{name}["\s]', SOURCE)}
    assert unknown == set()
