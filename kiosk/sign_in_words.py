"""The words that tell people whether their phone is at this kiosk: the page asks which pair is on the kiosk's screen.

Kiosk and page show them in the language of the visit; between programs they are numbers. They are short names of things
that are hard to confuse in any of the languages. Their order must not change between versions.
"""

from __future__ import annotations

from typing import Final

from kiosk.i18n import N_

WORDS: Final = (
    N_("anchor"), N_("apple"), N_("balloon"), N_("basket"), N_("bell"), N_("bicycle"), N_("blanket"), N_("bottle"),
    N_("bread"), N_("bridge"), N_("butter"), N_("button"), N_("camel"), N_("candle"), N_("castle"), N_("cheese"),
    N_("cherry"), N_("clock"), N_("cloud"), N_("coffee"), N_("dolphin"), N_("drum"), N_("eagle"), N_("elephant"),
    N_("feather"), N_("flute"), N_("forest"), N_("garden"), N_("giraffe"), N_("glove"), N_("guitar"), N_("hammer"),
    N_("honey"), N_("horse"), N_("island"), N_("kangaroo"), N_("ladder"), N_("lantern"), N_("lemon"), N_("lion"),
    N_("mirror"), N_("moon"), N_("mountain"), N_("mushroom"), N_("needle"), N_("ocean"), N_("onion"), N_("owl"),
    N_("penguin"), N_("pepper"), N_("piano"), N_("pillow"), N_("potato"), N_("rabbit"), N_("river"), N_("rose"),
    N_("scissors"), N_("snail"), N_("spoon"), N_("tiger"), N_("tomato"), N_("tractor"), N_("umbrella"), N_("violin"),
)  # fmt: skip
