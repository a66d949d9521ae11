"""Help texts of the steps that work differently than in the full screen."""

from __future__ import annotations

from typing import Final

from kiosk.i18n import N_

PHONE_SIGN_IN_HELP: Final = N_(
    "Take your phone, or any device where you can sign in with your work account, and open the address in its"
    " browser. The page shows pairs of words: choose the pair that this terminal says. Then sign in as usual. The page"
    " shows six digits, which you type here.\n"
    "Type repeat to hear everything again, or spell to have the end of the address spelled out.\n"
    "Each address opens only once. If another phone than yours has opened it, type back and start again. Never type"
    " your password here."
)
DIGITS_HELP: Final = N_(
    "The page on your phone shows six digits after you have signed in. Type them in one line and press Enter. Spaces do"
    " not matter. You have three tries.\n"
    "If the name is not yours, type back: someone else has opened the address, and the visit ends.\n"
    "Never tell anyone the digits. Anyone who asks you for them wants to see your keys."
)
DEVICE_CODE_HELP: Final = N_(
    "Take your phone, or any device where you can sign in with your work account. Open the address in its browser,"
    " type the code, then sign in as usual.\n"
    "Type repeat to get the address and the code again, or spell to have the code spelled out.\n"
    "This terminal moves on once you have signed in. Never type your password here.\n"
    "Type a code only if it comes from the terminal in front of you. Anyone who sends you a code wants to sign in as"
    " you."
)
DEVICES_HELP: Final = N_(
    "Type the number of the locked Mac and press Enter. Or type part of its name, model or serial number to filter"
    " the list.\n"
    "A locked Mac shows its serial number when you click the question mark in the password field.\n"
    "Once you choose a Mac, its key appears at once. A screen reader will say it aloud: use headphones if anyone"
    " could be listening.\n"
    "If a Mac is missing or has no key, the helpdesk can see why."
)
REVEAL_HELP: Final = N_(
    "The key has six groups of four characters. You can type these words:\n"
    "show: the whole key again.\n"
    "spell: the whole key, spelled out.\n"
    "A number from 1 to 6: one group, spelled out. On the telephone, say the letter, then its word.\n"
    "time: how much time is left. more: more time, up to a limit.\n"
    "hide: hide the key; show brings it back until time is up.\n"
    "check: find out whether what you wrote down is right. next: what to do at your Mac.\n"
    "back: remove the key from this terminal and go back to the list of Macs.\n"
    "On the locked Mac, click the question mark in the password field, or type a wrong password three times, and"
    " choose to reset it using the recovery key. Type capital letters; the dashes appear automatically."
)
COPY_CHECK_HELP: Final = N_(
    "Type the four characters of a group as written on your paper, and press Enter. Upper or lower case, dashes and"
    " spaces do not matter. A star appears for each character, so nobody hears what you type.\n"
    "You are told whether each group is right or wrong. You have five tries for each.\n"
    "Press Enter alone to skip the check, or Esc to go back to the key."
)
WHAT_NOW_HELP: Final = N_(
    "These steps say where to type the key and what to do next. They do not include the key.\n"
    "Enter ends your visit: you are signed out, and everything is erased from this terminal."
)
