"""Stub modules in place of parts of Textual (8.2.8) that a kiosk never uses.

They are the command palette and the folder of downloads. What is never loaded cannot be opened, and costs no time: the
palette alone loads a tenth of Textual, such as inputs, lists, trees and fuzzy search. Textual's app imports names from
both modules whether it uses them or not.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn


def install() -> None:
    """Put the stubs in place for the rest of this process. Must come before the first import of Textual."""
    names = ("CommandListItem", "DiscoveryHit", "Hit", "Hits", "Provider", "SimpleProvider")
    _stub("textual.command", CommandPalette=_Palette, **dict.fromkeys(names, _Unused))
    _stub("platformdirs", user_downloads_path=_no_folder)


class _Unused:
    """In place of classes that nothing makes an instance of."""


class _Palette:
    @staticmethod
    def is_open(_app: Any) -> bool:
        return False


def _no_folder() -> NoReturn:
    raise AssertionError("a kiosk delivers no files")


def _stub(name: str, **names: object) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    sys.modules.setdefault(name, module)
