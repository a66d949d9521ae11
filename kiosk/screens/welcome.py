"""The first screen: whose terminal this is, what it does, and how to begin. Nothing moves, nothing is requested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget

from kiosk import i18n
from kiosk.clock import Clock, Deadline
from kiosk.i18n import N_, _
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import LANGUAGE_SECONDS, Network
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.languages import Languages
from kiosk.widgets.prose import Prose
from kiosk.wording import NETWORK, WELCOME_HELP, fault


class WelcomeScreen(KioskScreen[None]):
    """Enter begins. The arrow keys choose a language for this visit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "language(-1)", show=False),
        Binding("right,down", "language(1)", show=False),
    ]
    ending_hints = (("F8", N_("Colours")), ("F1", N_("Help")))
    help_text = WELCOME_HELP
    app_keys = frozenset({"f1", "f3", "f8"})
    keys_when_small = frozenset({"F3", "F8", "F12"})

    def __init__(
        self,
        clock: Clock,
        helpdesk: str,
        portal: str,
        *,
        languages: Mapping[str, str],
        notice: str = "",
        failed: str = "",
        demo: bool = False,
    ) -> None:
        """``languages`` maps codes to names. ``notice`` is a text of the organisation. ``failed`` is the reference of
        the visit before this one, if it failed.
        """
        super().__init__()
        self._clock = clock
        self._helpdesk = helpdesk
        self._portal = portal
        self._languages = dict(languages)
        self._notice = notice
        self._failed = failed
        self._network: Network | None = None
        self._at_first = i18n.language()
        self._forget_at: Deadline | None = None
        self._ticking: Timer | None = None
        key_hints: list[KeyHint] = [("Enter", N_("Begin"))]
        if len(self._languages) > 1:
            key_hints.append(("← →", N_("Language")))
        key_hints.append(("F3", N_("Text only")))
        if demo:
            key_hints.append(("F12", N_("End")))
            self.app_keys |= {"f12"}
        self.key_hints = key_hints

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Locked out of your Mac?"), classes="headline")
        yield Prose(_("Get its recovery key here."), classes="subline")
        yield Prose(
            _("1   Sign in with your phone or another device\n2   Choose your Mac\n3   Read the key and write it down"),
            classes="steps",
        )
        yield Prose(_("Press Enter to begin"), classes="call")
        if self._failed:
            yield Prose(fault(self._failed), classes="caution value")
        network = Prose(self._network_words(), id="network", classes="caution value")
        network.display = self._network is not None
        yield network
        if self._notice:
            yield Prose(self._notice, classes="value")
        yield Facts({_("Helpdesk"): self._helpdesk, _("Online"): self._portal})
        if len(self._languages) > 1:
            yield Languages(self._languages, i18n.language())

    def say_network(self, network: Network) -> None:
        """Show the state of the network; may be called before the screen is mounted."""
        self._network = network
        if self.is_mounted:
            for prose in self.query("#network").results(Prose):
                prose.say(self._network_words())
                prose.display = True

    def _network_words(self) -> str:
        return _(NETWORK[self._network]) if self._network else ""

    async def action_language(self, by: int) -> None:
        """Change to the next language."""
        codes = list(self._languages)
        if len(codes) > 1:
            here = codes.index(i18n.language()) if i18n.language() in codes else 0
            await self._say_in(codes[(here + by) % len(codes)])

    async def _say_in(self, language: str) -> None:
        i18n.use(language)
        other = language != self._at_first
        self._forget_at = Deadline.after(self._clock, LANGUAGE_SECONDS) if other else None
        if self._ticking:
            self._ticking.stop()
        # Only while another language is shown: otherwise nothing ticks on this screen.
        self._ticking = self.set_interval(1.0, self._look_at_clock) if other else None
        await self.recompose()

    async def _look_at_clock(self) -> None:
        if self._forget_at and self._forget_at.passed():
            await self._say_in(self._at_first)

    def action_enter(self) -> None:
        self.answer(None)
