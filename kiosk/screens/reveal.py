"""Shows the recovery key while its time lasts; afterwards only the way to fetch it again."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from kiosk.i18n import N_, _, language
from kiosk.models import Ending
from kiosk.recovery_key.format import GROUPS
from kiosk.recovery_key.look_alikes import MOST_SENTENCES, look_alikes, sentences
from kiosk.recovery_key.spelling import INTERNATIONAL, alphabet
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import AfterReveal
from kiosk.visit.reveal import Reveal
from kiosk.widgets.countdown import Countdown
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.key_view import KeyForm, KeyView
from kiosk.widgets.prose import Prose, height
from kiosk.wording import REVEAL_HELP, name, only_with_a_key, serial

_CHECK: KeyHint = ("Enter", N_("Check copy"))
_CHECK_HIDDEN: KeyHint = ("F6", N_("Check copy"))
_WHAT_NOW: KeyHint = ("F5", N_("What next"))
_BACK: KeyHint = ("Esc", N_("Back"))
_FORMS = tuple(KeyForm)
_ARROWS = frozenset({"left", "right", "up", "down"})
# At 80x24: the most lines below the countdown where there is a warning, and their length.
_LINES_BELOW = 5
_WIDTH = 77
# Lines of advice for which there is room without a warning.
_LINES_IN_PLACE = 2


class RevealScreen(KioskScreen[AfterReveal]):
    """Draws a reveal. While the key is visible its countdown limits the time, not idleness."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn_over", show=False),
        Binding("left,up", "turn(-1)", show=False),
        Binding("right,down", "turn(1)", show=False),
        Binding("f2", "view", show=False),
        Binding("f3", "words", show=False),
        Binding("f4", "more_time", show=False),
        Binding("f5", "what_now", show=False),
        Binding("f6", "check", show=False),
    ]
    step = 4
    # A person who copies 24 characters to paper presses no key.
    idle_counts = False
    help_text = REVEAL_HELP

    def __init__(self, reveal: Reveal, *, warning: str = "", masked: bool = False) -> None:
        """``masked`` shows one group at a time."""
        super().__init__()
        self._reveal = reveal
        self._warning = warning
        self._masked = masked
        self._spelling = language()
        self._drawn: tuple[bool, bool] | None = None
        self._look_alikes: list[str] = []

    def content(self) -> Iterable[Widget]:
        device = self._reveal.device
        yield Prose(_("Recovery key of {name}").format(name=name(device)), classes="headline")
        numbered = _("serial number {serial}").format(serial=serial(device))
        yield Prose(f"{device.model}, {numbered}".lstrip(", "), classes="label")
        yield KeyView(self.charset)
        yield Countdown(self._reveal.deadline, _("Time left {time}"))
        yield Prose(id="advice")
        if self._warning:
            yield Prose(self._warning, classes="caution")

    def on_mount(self) -> None:
        self.set_class(bool(self._warning), "-warned")
        self._draw()

    def tick(self) -> None:
        countdown = self.query_one(Countdown)
        countdown.extend_to(self._reveal.deadline)
        countdown.tick()
        self._draw()

    def action_turn(self, by: int) -> None:
        """Show another group, where one is drawn at a time."""
        self.query_one(KeyView).turn(by)
        self._draw()

    def action_turn_over(self) -> None:
        """Hide the key, or show it again while its time lasts."""
        if self._reveal.visible:
            self._reveal.hide()
        else:
            self._reveal.show()
        self._draw()

    def action_view(self) -> None:
        """Change the form: the whole key, one group at a time, all characters with their words."""
        view = self.query_one(KeyView)
        if self._reveal.visible:
            view.show_as(_FORMS[(_FORMS.index(view.form) + 1) % len(_FORMS)])
            self._draw()

    def action_words(self) -> None:
        """Change between the spelling words of the visit's language and the international ones."""
        if self._has_two_alphabets:
            self._spelling = language() if self._spelling == INTERNATIONAL else INTERNATIONAL
            self.query_one(KeyView).spell_with(alphabet(self._spelling))
            self._draw()

    def action_more_time(self) -> None:
        """Extend the time, up to the organisation's limit."""
        if self._reveal.visible:
            self._reveal.extend()
            self.tick()

    def action_what_now(self) -> None:
        self._go_on(AfterReveal.WHAT_NOW)

    def action_check(self) -> None:
        if self._reveal.copy_check:
            self._go_on(AfterReveal.CHECK)

    def action_enter(self) -> None:
        if self._reveal.over:
            self.answer(AfterReveal.FETCH)
        elif self._reveal.visible:
            self._go_on(AfterReveal.CHECK if self._reveal.copy_check else AfterReveal.WHAT_NOW)
        else:
            self._reveal.show()
            self._draw()

    def _go_on(self, answer: AfterReveal) -> None:
        # A screen that is replaced while it shows the key leaves drawings behind.
        self._reveal.hide()
        self._draw()
        self.answer(answer)

    def action_escape(self) -> None:
        self._reveal.finish(Ending.HIDDEN)
        self._draw()
        self.answer(AfterReveal.BACK)

    def forget(self) -> None:
        self._draw()

    def why_not(self, key: str) -> str:
        if not self.fits:
            return ""
        view, reveal = self.query_one(KeyView), self._reveal
        if not reveal.visible and key in {"f2", "f3", "f4"}:
            return only_with_a_key(key.upper())
        if key == "f2" and not view.usual:
            return _("This recovery key has only one view.")
        if key == "f3" and not self._has_two_alphabets:
            if language() == INTERNATIONAL:
                return _("This language has only one set of spelling words.")
            return _("This view has no spelling words. F2 changes the view.")
        if key == "f4" and not reveal.can_extend:
            if reveal.at_its_longest:
                return _("Your organisation allows no more time for this key.")
            return _("All of the time is still left.")
        if key == "f6" and not reveal.copy_check:
            return _("A key of this form cannot be checked here.")
        if key in _ARROWS and reveal.visible and not view.one_at_a_time:
            return _("All groups are on the screen. F2 changes the view.")
        return super().why_not(key)

    @property
    def _has_two_alphabets(self) -> bool:
        return language() != INTERNATIONAL and self.query_one(KeyView).form is not KeyForm.WHOLE

    def _draw(self) -> None:
        """Draw the current state of the reveal, wherever it was changed."""
        view = self.query_one(KeyView)
        state = (self._reveal.visible, self._reveal.over)
        if state != self._drawn:
            self._drawn = state
            self.idle_counts = not self._reveal.visible
            if self._reveal.key is not None and self._reveal.visible:
                view.show(self._reveal.key, masked=self._masked)
                self._look_alikes = sentences(look_alikes(self._reveal.key)) if view.usual else []
            else:
                view.hide()
                self._look_alikes = []
            self.query_one(Countdown).visible = self._reveal.visible
        advice = self._advice(view)
        below = height(advice, _WIDTH) + height(self._warning, _WIDTH)
        self.set_class(below > _LINES_IN_PLACE and not self._warning, "-crowded")
        self.set_class(below >= _LINES_BELOW, "-full")
        self.query_one("#advice", Prose).say(advice)
        self.hint(self._hints_now(view))

    def _hints_now(self, view: KeyView) -> list[KeyHint]:
        checks = self._reveal.copy_check is not None
        if not self._reveal.visible:
            enter = N_("Get it again") if self._reveal.over else N_("Show it again")
            return [("Enter", enter), *([_CHECK_HIDDEN] if checks else []), _WHAT_NOW, _BACK]
        shown: list[KeyHint] = [_CHECK] if checks else []
        shown.append((N_("Space"), N_("Hide")))
        if view.usual:
            shown.append(("F2", N_("View")))
        if view.one_at_a_time:
            shown.append(("← →", N_("Group")))
        if self._has_two_alphabets:
            shown.append(("F3", N_("Words")))
        if self._reveal.can_extend:
            shown.append(("F4", N_("More time")))
        return [*shown, ("F5" if checks else "Enter", _WHAT_NOW[1]), _BACK]

    def _room(self) -> int:
        """Return how many lines of advice fit: a warning below may need the room."""
        if not self._warning or self.has_class("-tall"):
            return MOST_SENTENCES
        return min(MOST_SENTENCES, max(1, _LINES_BELOW - len(wrap(self._warning, _WIDTH))))

    def _advice(self, view: KeyView) -> str:
        if self._reveal.over:
            return _("Time is up and the key is no longer shown. Press Enter to get it again.")
        if not self._reveal.visible:
            return _("The key is hidden. Press Enter to show it again.")
        if not view.usual:
            return _("This key has an unusual format. Copy it exactly as shown in the line above.")
        said = list(self._look_alikes)
        if view.one_at_a_time:
            which = _("Group {number} of {count}. Use the arrow keys to see the others.")
            said.insert(0, which.format(number=view.group, count=GROUPS))
        return "\n".join(said[: self._room()]) or _("Write down the key, and check each group before you leave.")
