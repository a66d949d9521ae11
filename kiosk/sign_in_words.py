"""The words that tell people whether their phone is at this kiosk: the page asks which pair is on the kiosk's screen.

Kiosk and page show them in the language of the visit. Between programs they are numbers, so their order must not change
between versions. Each is one short, everyday noun for something that can be drawn. No two are alike in any language, so
that they cannot be confused at a glance or over the telephone; a test compares them.
"""

from __future__ import annotations

from typing import Final

from kiosk.i18n import N_

WORDS: Final = (
    N_("accordion"), N_("ambulance"), N_("banana"), N_("bathtub"), N_("bicycle"), N_("broccoli"),
    N_("butterfly"), N_("cactus"), N_("carousel"), N_("carpet"), N_("cherry"), N_("chocolate"),
    N_("circus"), N_("compass"), N_("crocodile"), N_("dinosaur"), N_("dolphin"), N_("elephant"),
    N_("fork"), N_("giraffe"), N_("glove"), N_("guitar"), N_("hammer"), N_("helicopter"),
    N_("kangaroo"), N_("lantern"), N_("lemon"), N_("leopard"), N_("locomotive"), N_("medal"),
    N_("mirror"), N_("octopus"), N_("parachute"), N_("parrot"), N_("pelican"), N_("pencil"),
    N_("penguin"), N_("piano"), N_("pizza"), N_("planet"), N_("pumpkin"), N_("pyramid"),
    N_("rhinoceros"), N_("rocket"), N_("sailboat"), N_("satellite"), N_("saxophone"), N_("scorpion"),
    N_("spaghetti"), N_("squirrel"), N_("strawberry"), N_("suitcase"), N_("sunflower"), N_("telescope"),
    N_("thermometer"), N_("tiger"), N_("tomato"), N_("tractor"), N_("turtle"), N_("violin"),
    N_("volcano"), N_("waterfall"), N_("windmill"), N_("zebra"),
)  # fmt: skip
