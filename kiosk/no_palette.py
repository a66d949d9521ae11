"""Textual without its command palette: what is never loaded cannot be opened, and costs no time at the start.

To be imported before ``textual.app``, which takes these names from ``textual.command`` (8.2.8) whether they are used
or not. The real module brings a tenth of Textual along: inputs, lists, trees, fuzzy search.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NAME = "textual.command"


class _Nothing:
    """Stands for a class that nobody makes anything of."""


class _Palette:
    @staticmethod
    def is_open(_app: Any) -> bool:
        return False


def _module() -> ModuleType:
    module = ModuleType(NAME)
    names = ("CommandListItem", "DiscoveryHit", "Hit", "Hits", "Provider", "SimpleProvider")
    vars(module).update(dict.fromkeys(names, _Nothing), CommandPalette=_Palette)
    return module


sys.modules.setdefault(NAME, _module())
