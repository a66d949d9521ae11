"""Textual without what a kiosk never does: its command palette, and files in a person's folder.

What is never loaded cannot be opened, and costs no time at the start. To be imported before anything of Textual
(8.2.8), whose app takes names from both modules whether they are used or not. The palette alone brings a tenth of
Textual along: inputs, lists, trees, fuzzy search.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn


class _Nothing:
    """Stands for a class that nobody makes anything of."""


class _Palette:
    @staticmethod
    def is_open(_app: Any) -> bool:
        return False


def _no_folder() -> NoReturn:
    raise RuntimeError("a kiosk delivers no files")


def _stand_in(name: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    return module


_palette = _stand_in(
    "textual.command",
    CommandPalette=_Palette,
    **dict.fromkeys(("CommandListItem", "DiscoveryHit", "Hit", "Hits", "Provider", "SimpleProvider"), _Nothing),
)
_folders = _stand_in("platformdirs", user_downloads_path=_no_folder)
sys.modules.setdefault(_palette.__name__, _palette)
if sys.modules.setdefault(_folders.__name__, _folders) is _folders:
    import textual.app  # noqa: F401

    # For Textual alone; whoever else asks gets the real one.
    del sys.modules[_folders.__name__]
