"""A released key within its time: hidden and shown again, extended, ended once."""

from __future__ import annotations

import math

from kiosk.models import Device, Ending
from kiosk.recovery_key.copy_check import Verdict
from kiosk.secret import SecretBuffer
from kiosk.visit.reveal import Reveal, Times
from tests.support.clock import ManualClock

MAC = Device(id="d", name="Mac", model="", serial="", os="macOS", os_version="", last_seen=None)


class Told:
    """A reveal on a manual clock, and the endings that it reported."""

    def __init__(
        self, *, seconds: float = 100, longest: float = 250, until: float = math.inf, key: bytes = b"secret"
    ) -> None:
        self.clock = ManualClock()
        self.endings: list[Ending] = []
        self.opened = 0
        self._key = key
        times = Times(seconds, longest, self.clock.now() + until)
        self.reveal = Reveal(MAC, "r", self._unseal, times, self.clock, lambda _, how: self.endings.append(how))

    def _unseal(self) -> SecretBuffer:
        self.opened += 1
        return SecretBuffer(bytes(bytearray(self._key)))


def test_it_is_wiped_at_its_deadline_and_ends_once() -> None:
    told = Told()
    key = told.reveal.key
    assert key is not None
    told.clock.advance(99)
    told.reveal.tick()
    assert len(key) == 6
    told.clock.advance(1)
    told.reveal.tick()
    told.reveal.tick()
    told.reveal.finish(Ending.LOCKED)
    assert len(key) == 0
    assert told.endings == [Ending.COUNTDOWN]
    told.reveal.show()
    assert told.opened == 1
    assert told.reveal.over


def test_hiding_wipes_and_only_the_shown_time_counts() -> None:
    told = Told()
    key = told.reveal.key
    assert key is not None
    told.clock.advance(10)
    told.reveal.hide()
    assert len(key) == 0
    told.clock.advance(20)
    told.reveal.show()
    assert told.opened == 2
    told.clock.advance(5)
    assert told.reveal.shown_seconds == 15
    told.reveal.hide()
    told.clock.advance(65)
    told.reveal.tick()
    assert told.endings == [Ending.HIDDEN]
    assert told.reveal.shown_seconds == 15


def test_a_key_that_is_asked_for_after_its_time_stays_closed() -> None:
    told = Told()
    told.reveal.hide()
    told.clock.advance(100)
    told.reveal.show()
    assert told.opened == 1
    assert told.reveal.over


def test_more_time_restarts_the_countdown_up_to_the_longest() -> None:
    told = Told(seconds=100, longest=250)
    assert not told.reveal.can_extend
    for expected in (110, 120, 130, 140, 150, 160, 170, 180, 190, 200, 210, 220, 230, 240, 250, 250):
        told.clock.advance(10)
        told.reveal.extend()
        assert told.reveal.deadline.at - 1000 == expected
    assert not told.reveal.can_extend


def test_nothing_outlasts_the_visit() -> None:
    told = Told(seconds=100, longest=250, until=40)
    assert told.reveal.deadline.left() == 40
    told.clock.advance(10)
    assert not told.reveal.can_extend


def test_a_copy_can_be_checked_when_the_time_is_over_and_not_when_all_is_wiped() -> None:
    told = Told(key=b"HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA")
    check = told.reveal.copy_check
    assert check
    told.clock.advance(100)
    told.reveal.tick()
    assert told.reveal.over
    assert check.check(1, bytearray(b"hj4w")) is Verdict.RIGHT
    told.reveal.wipe()
    assert check.check(2, bytearray(b"7qxb")) is Verdict.FORGOTTEN
    assert check.outcome.right == 1


def test_a_key_of_unusual_form_has_no_check() -> None:
    assert Told().reveal.copy_check is None


def test_one_check_for_one_release() -> None:
    """Each one of the same key keeps ten other bits of a group."""
    told = Told(key=b"HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA")
    check = told.reveal.copy_check
    told.reveal.hide()
    told.reveal.show()
    assert told.reveal.copy_check is check


def test_wiping_leaves_nothing_to_open() -> None:
    told = Told()
    key = told.reveal.key
    assert key is not None
    told.reveal.wipe()
    assert len(key) == 0
    told.reveal.show()
    assert told.opened == 1
    assert not told.reveal.visible


def test_its_time_starts_when_it_has_been_spoken() -> None:
    told = Told(seconds=100, longest=250)
    told.reveal.speak(30)
    assert told.reveal.deadline.left() == 130
    told.clock.advance(10)
    told.reveal.heard()
    assert told.reveal.deadline.left() == 100
    told.clock.advance(95)
    told.reveal.heard()
    assert told.reveal.deadline.left() == 5
    # A later page stays as long as it takes, and a little longer; the maximum starts after the first one.
    told.reveal.speak(40)
    assert told.reveal.deadline.left() == 60
    told.reveal.speak(1000)
    assert told.reveal.deadline.left() == 250 + 30 - 105
    assert told.reveal.at_longest


def test_what_is_spoken_prolongs_no_visit() -> None:
    told = Told(seconds=100, longest=250, until=120)
    told.reveal.speak(50)
    assert told.reveal.deadline.left() == 120
    told.clock.advance(120)
    told.reveal.tick()
    told.reveal.speak(50)
    assert told.reveal.over
    assert told.endings == [Ending.COUNTDOWN]
