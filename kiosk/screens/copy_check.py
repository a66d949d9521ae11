"""Checks what was written down: the person types each group, while the key is hidden or gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widget import Widget

from kiosk.clock import Clock
from kiosk.i18n import N_, _
from kiosk.recovery_key.copy_check import CopyCheck, Verdict, is_between, may_occur
from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS
from kiosk.screens.base import KioskScreen
from kiosk.secret import zero
from kiosk.visit.answers import AfterCheck
from kiosk.visit.reveal import Reveal
from kiosk.widgets.group_boxes import Box, GroupBoxes, Mark
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.wording import COPY_CHECK_HELP, copy_right, group_spent, group_wanted, group_wrong, never_in_a_key

# People who type with their eyes on the paper go on for a while after a wrong group. That costs no tries.
PAUSE_SECONDS = 1.0
_UNDECIDED: Sequence[KeyHint] = (("Enter", N_("Skip")), ("← →", N_("Group")), ("Esc", N_("Back to the key")))
_SPENT: Sequence[KeyHint] = (_UNDECIDED[0], _UNDECIDED[-1])
_DECIDED: Sequence[KeyHint] = (("Enter", N_("What next")), ("Esc", N_("Back to the key")))


class CopyCheckScreen(KioskScreen[AfterCheck]):
    """Shows how many characters were typed, but never the characters: they are the key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "move(-1)", show=False),
        Binding("right,down", "move(1)", show=False),
        Binding("backspace", "erase", show=False),
    ]
    step = 4
    help_text = COPY_CHECK_HELP

    def __init__(self, reveal: Reveal, check: CopyCheck, clock: Clock) -> None:
        """``check`` is the copy check of ``reveal``."""
        super().__init__()
        self._reveal = reveal
        self._check = check
        self._clock = clock
        # Of fixed length, so that it is never moved in memory, which would leave a copy behind.
        self._typed = bytearray(GROUP_LENGTH)
        self._length = 0
        self._wrong: set[int] = set()
        self._quiet_until: float | None = None
        self._group = self._next(0)

    def content(self) -> Iterable[Widget]:
        yield Prose(_("Check your copy"), classes="headline")
        yield Prose(id="where", classes="label")
        yield GroupBoxes(self._boxes(), self._group)
        yield Prose(id="verdict")

    def on_mount(self) -> None:
        self._say(self._wanted())
        self.tick()

    def tick(self) -> None:
        if self._reveal.over:
            where = _("Time is up and the key is no longer shown. You can still check your copy.")
        else:
            where = _("The key is hidden. Type what you wrote down, group by group.")
        self.query_one("#where", Prose).say(where)

    def on_key(self, event: Key) -> None:
        """Type every printable key."""
        if not self.fits or not event.is_printable or not event.character:
            return
        event.stop()
        if is_between(event.character) or not self._group or self._is_run_on():
            return
        if self._check.is_right(self._group) or not self._check.tries_left(self._group):
            self._say(self._wanted())
            return
        if not may_occur(event.character):
            self._say(never_in_a_key(), wrong=True)
            return
        self._typed[self._length] = ord(event.character)
        self._length += 1
        if self._length == GROUP_LENGTH:
            self._compare()
        else:
            self._say(self._wanted())

    def action_move(self, by: int) -> None:
        """Move to another group."""
        if self._group:
            self._empty()
            self._group = min(max(self._group + by, 1), GROUPS)
            self._say(self._wanted())

    def action_erase(self) -> None:
        self._quiet_until = None
        if self._length:
            self._length -= 1
            self._typed[self._length] = 0
            self._say(self._wanted())

    def action_enter(self) -> None:
        self._empty()
        self.answer(AfterCheck.GO_ON)

    def action_escape(self) -> None:
        self._empty()
        self.answer(AfterCheck.BACK)

    def forget(self) -> None:
        self._empty()

    def _is_run_on(self) -> bool:
        """Whether this key comes from a person who has not noticed yet that a group is wrong."""
        now = self._clock.now()
        if self._quiet_until is None or now >= self._quiet_until:
            self._quiet_until = None
            return False
        self._quiet_until = now + PAUSE_SECONDS
        return True

    def _compare(self) -> None:
        group, typed = self._group, self._typed
        # The check zeroes it.
        verdict = self._check.check(group, typed)
        self._typed, self._length = bytearray(GROUP_LENGTH), 0
        if verdict is Verdict.RIGHT:
            self._wrong.discard(group)
            self._group = self._next(group)
            self._say(self._wanted())
        else:
            self._wrong.add(group)
            self._quiet_until = self._clock.now() + PAUSE_SECONDS
            self._say(self._about(group, verdict), wrong=True)

    def _about(self, group: int, verdict: Verdict) -> str:
        left = self._check.tries_left(group)
        if verdict is Verdict.FORGOTTEN:
            return _("You can no longer check this copy.")
        return group_wrong(group, left) if left else group_spent(group)

    def _wanted(self) -> str:
        if self._check.outcome.complete:
            return copy_right()
        if not self._group:
            return group_spent(next(iter(self._spent())))
        if self._check.is_right(self._group):
            return _("Group {number} is right.").format(number=self._group)
        return group_wanted(self._group) if self._check.tries_left(self._group) else group_spent(self._group)

    def _next(self, group: int) -> int:
        """Return the next group after this one that is not right and has tries left, or 0."""
        order = [*range(group + 1, GROUPS + 1), *range(1, group + 1)]
        open_ones = (one for one in order if not self._check.is_right(one) and self._check.tries_left(one))
        return next(open_ones, 0)

    def _spent(self) -> list[int]:
        return [one for one in range(1, GROUPS + 1) if self._mark(one) is Mark.SPENT]

    def _boxes(self) -> list[Box]:
        return [Box(self._filled(number, self._mark(number)), self._mark(number)) for number in range(1, GROUPS + 1)]

    def _filled(self, number: int, mark: Mark) -> int:
        if mark is Mark.RIGHT:
            return GROUP_LENGTH
        return self._length if number == self._group else 0

    def _mark(self, number: int) -> Mark:
        if self._check.is_right(number):
            return Mark.RIGHT
        if not self._check.tries_left(number):
            return Mark.SPENT
        typing = number == self._group and self._length
        return Mark.WRONG if number in self._wrong and not typing else Mark.OPEN

    def _empty(self) -> None:
        zero(self._typed)
        self._length = 0
        self._quiet_until = None

    def _say(self, words: str, *, wrong: bool = False) -> None:
        complete = self._check.outcome.complete
        verdict = self.query_one("#verdict", Prose)
        verdict.say(words)
        verdict.set_class(wrong, "caution")
        verdict.set_class(complete, "call")
        self.query_one(GroupBoxes).show(self._boxes(), 0 if complete else self._group)
        self.hint(_DECIDED if complete else _UNDECIDED if self._group else _SPENT)
