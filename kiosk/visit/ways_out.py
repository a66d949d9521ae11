"""Defines how a step of a visit can end other than with its answer. The flow catches them."""

from __future__ import annotations

from kiosk.models import Ending


class VisitOver(Exception):
    """The visit is over: the person is done, has left, or is not the one who signed in."""

    def __init__(self, how: Ending) -> None:
        super().__init__(how)
        self.how = how


class WentBack(Exception):
    """The person pressed Esc during a request, or after it failed."""


class OtherReason(Exception):
    """The broker did not accept the reason."""


class SignInAgain(Exception):
    """The broker no longer accepts the sign-in. The person can sign in again."""
