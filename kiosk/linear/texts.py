"""Help texts of the steps that work differently than in the full screen."""

from __future__ import annotations

from typing import Final

from kiosk.i18n import N_

SIGN_IN_HELP: Final = N_(
    "Take your phone, or any device on which you can sign in with your work account. Open the address in its browser,"
    " type the code, then sign in as usual.\n"
    "Type repeat to hear the address and the code again, spell to have the code in spelling words.\n"
    "This goes on by itself. Your password is never typed here.\n"
    "Type a code only if it comes from the terminal in front of you. Somebody who sends you a code wants to sign in"
    " as you."
)
DEVICES_HELP: Final = N_(
    "Type the number of the Mac that is locked, and press Enter. Or type a part of its name, model or serial number to"
    " shorten the list.\n"
    "A locked Mac shows its serial number when you click the question mark in the password field.\n"
    "The key is then written on the screen at once. A screen reader says it aloud: use headphones if somebody may be"
    " listening.\n"
    "Is a Mac missing, or is there no key for it? The helpdesk can see why."
)
REVEAL_HELP: Final = N_(
    "The key has six groups of four characters. Words that you can type:\n"
    "show: the whole key again.\n"
    "spell: the whole key in spelling words.\n"
    "A number from 1 to 6: one group alone, in spelling words.\n"
    "time: how long the key stays. more: more time, up to a limit.\n"
    "hide: take the key away; show brings it back within its time.\n"
    "check: find out whether what you wrote down is right. next: what to do at your Mac.\n"
    "back: take the key away for good, and go back to the list of Macs.\n"
    "On the locked Mac, click the question mark in the password field, or type a wrong password three times, and"
    " choose to reset it with the recovery key. Type the letters as capitals; the dashes come by themselves."
)
COPY_CHECK_HELP: Final = N_(
    "Type the four characters of a group as they stand on your paper, and press Enter. Capitals or small letters,"
    " dashes and blanks do not matter. A star stands for each character; nobody hears what you type.\n"
    "Each group is right or wrong. You have five tries for each.\n"
    "Press Enter alone to leave the check out, Esc to go back to the key."
)
WHAT_NOW_HELP: Final = N_(
    "These steps say where the key is typed, and what comes after. The key itself is not among them.\n"
    "Enter ends your visit: you are signed out, and everything is wiped from this terminal."
)
