"""Sentences that several screens, or both UIs, share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from kiosk.clock import Clock, Deadline
from kiosk.config.kiosk import Organisation
from kiosk.errors import KioskError, LimitReached, SignInError, TokenRefused, kind_of
from kiosk.i18n import N_, _, ngettext
from kiosk.models import Device, Ending
from kiosk.sign_in_messages import Stage, WordPair
from kiosk.sign_in_words import WORDS
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import DigitsNotice, Network, Renewal

STEPS = (N_("Sign in"), N_("Confirm"), N_("Choose"), N_("Read"))

_GOODBYE = {
    Ending.IDLE: N_("There was no activity for a while, so this terminal has locked."),
    Ending.VISIT_OVER: N_("The visit reached its time limit, so this terminal has locked."),
    Ending.LOCKED: N_("This terminal is locked."),
}
_FAREWELL = N_("Goodbye.")
# By kind, see kiosk/terminal/recorders.py; other kinds are the names of programs.
_WATCHERS = {"debugger": N_("a debugger"), "other_tty": N_("another terminal")}

_RENEWAL = {
    Renewal.EXPIRED: N_("This is a new code. The last one has expired."),
    Renewal.UNANSWERED: N_("This is a new code. The sign-in service did not answer in time."),
}
_NEW_LINK = N_("This is a new link. The last one has expired.")
_NOT_YOUR_PHONE = N_("If that is not your phone, press Esc.")
_SIGNED_IN_THERE = N_("Your phone then shows six digits. Type them here.")
# By stage of a sign-in on the phone: the heading, what to do there, and what comes after. The words stand in between.
_STAGES = {
    Stage.WAITING: (
        N_("Sign in on your phone"),
        "",
        N_("Sign in there. Then type the six digits that the phone shows."),
    ),
    Stage.OPENED: (N_("A phone has opened the page"), N_("Choose these words there, then sign in:"), _SIGNED_IN_THERE),
}
_ON_THE_PHONE = (N_("Sign in on the phone"), N_("The words were right. Now sign in there as usual."), _SIGNED_IN_THERE)
PHONE_SILENT = N_("The recovery service does not answer. Please wait.")
PHONE_NOT_SILENT = N_("The recovery service answers again.")
NOT_ALL_DIGITS = N_("Type all six digits, then press Enter.")
ONLY_DIGITS = N_("The phone shows only digits, 0 to 9.")
SENT_A_CODE = N_("Were you sent this code? Then someone wants to sign in as you.")
SILENT = N_("The sign-in service does not answer. Your code stays valid.")
NOT_SILENT = N_("The sign-in service answers again.")
TRY_NOW = N_("You can try again now.")
NETWORK = {
    Network.AWAY: N_("This kiosk is offline. It keeps trying to reconnect."),
    Network.BACK: N_("This kiosk is online again."),
}

WELCOME_HELP = N_(
    "This terminal shows you the FileVault recovery key of a Mac that your organisation manages, so that you can"
    " unlock the Mac.\n\n"
    "You need a phone or another device where you can sign in with your work account. You sign in there. Never type"
    " your password here.\n\n"
    "When you finish or walk away, everything is erased from this terminal.\n\n"
    "F3 switches between full screen and text only, for screen readers and braille."
)
PHONE_SIGN_IN_HELP = N_(
    "1   Point the camera of your phone at the QR code, or type the address into its browser.\n"
    "2   The page shows pairs of words. Choose the pair that is on this screen.\n"
    "3   Sign in on the phone with your work account, as usual. Never type your password here.\n"
    "4   The phone then shows six digits. Type them here.\n\n"
    "The QR code changes every half minute, and each link opens only once. If another phone than yours has opened the"
    " page, press Esc and start again."
)
DIGITS_HELP = N_(
    "After you have signed in, your phone shows six digits. Type them here, then press Enter. Backspace deletes a"
    " digit. You have three tries.\n\n"
    "Check that the name on this screen is yours. If it is not, press Esc: someone else has opened this kiosk's link."
    " Their Macs and keys stay hidden, and the visit ends.\n\n"
    "Never tell anyone the digits. Anyone who asks you for them wants to see your keys."
)
DEVICE_CODE_HELP = N_(
    "1   Take your phone, or any device where you can sign in with your work account.\n"
    "2   Point its camera at the QR code, or type the address into its browser.\n"
    "3   Type the code shown on this screen, then sign in as usual.\n\n"
    "This screen moves on once you have signed in. Never type your password here.\n\n"
    "Type a code only if you see it on the terminal in front of you. Anyone who sends you a code wants to sign in as"
    " you."
)
LET_GO = N_("Let go of Enter, then press it again")
CONFIRM_HELP = N_(
    "Check that the name and the account are yours.\n\n"
    "If they are not, press Esc: someone else has signed in with this terminal's code. Their Macs and keys stay"
    " hidden, and the visit ends."
)
DEVICES_HELP = N_(
    "Use the arrow keys to choose the locked Mac, then press Enter.\n\n"
    "Type part of its name, model or serial number to filter the list. Backspace deletes a character.\n\n"
    "A locked Mac shows its serial number when you click the question mark in the password field. Compare the last"
    " characters with the list.\n\n"
    "If a Mac is missing or has no key, the helpdesk can see why."
)
REASON_HELP = N_(
    "Your organisation records why each key was shown. Type the reason or your ticket number, then press Enter."
    " Backspace deletes a character.\n\n"
    "Do not type a password or a key here."
)
REVEAL_HELP = N_(
    "Write down the 24 characters, group by group, or read them to someone typing them. Digits are underlined and in"
    " another colour. A zero has a slash through it; the letter O does not.\n\n"
    "Enter checks what you wrote down. Space hides the key and shows it again. F2 changes the view: the whole key,"
    " one group at a time, or each character with a word to say on the phone. F3 switches between words in your"
    " language and international ones. F4 gives you more time, if your organisation allows it. F5 shows what to do at"
    " your Mac.\n\n"
    "The key disappears when time is up, even while you read this. Press Enter to get it again."
)
COPY_CHECK_HELP = N_(
    "Type what you wrote down, group by group. Upper or lower case, dashes and spaces do not matter. What you type is"
    " not shown on this screen.\n\n"
    "Each group is checked once you have typed four characters. You have five tries for each group. The arrow keys"
    " change the group and Backspace deletes a character.\n\n"
    "If you cannot get a group right, press Esc, show the key and compare it with your paper. To skip this check,"
    " press Enter."
)
WHAT_NOW_HELP = N_(
    "These pages say where to type the key and what to do next. The key itself is not on them. Write down what you"
    " need.\n\n"
    "Enter and the arrow keys turn the page. On the last page, Enter ends your visit: you are signed out, and"
    " everything is erased from this terminal."
)
TROUBLE_HELP = N_(
    "Something went wrong. The screen says what happened, what you can do and who can help.\n\n"
    "When you contact the helpdesk, read out the reference: it lets them find this problem in their records."
)
WORKING_HELP = N_("The terminal is waiting for an answer. It will tell you if none comes.")

REASON_PROMPT = N_("Why do you need the recovery key? A ticket number or a few words will do.")


AT_THE_MAC = (
    N_(
        "Start the Mac and choose your account. Click the question mark in the password field, or type a wrong password"
        " three times."
    ),
    N_("Choose to reset the password using the recovery key. If the Mac offers to restart, let it."),
    N_(
        "Check that Caps Lock is off and the keyboard layout at the top of the screen is right. After a wrong try,"
        " you may have to wait several minutes."
    ),
    N_("Type the key in capital letters. Dashes appear automatically."),
    N_("Choose a new password for this Mac."),
)
AND_THEN = (
    N_(
        'macOS Recovery also accepts the key, under "Forgot all passwords?". If it first asks for a Recovery Lock'
        " password, the helpdesk has it."
    ),
    N_("A 28-character recovery key is different: it belongs to an Apple Account."),
    N_("The old login keychain stays locked without the old password. Let the Mac create a new one."),
    N_("If the Mac asks you to register for single sign-on again, do so, or apps will keep asking."),
    N_(
        "The key unlocks this Mac until it is changed. Destroy the paper and ask the helpdesk to change the key once"
        " the Mac is online."
    ),
)


def numbered(steps: Sequence[str]) -> dict[str, str]:
    """Return marked steps by number, in the language of the visit."""
    return {str(number): _(step) for number, step in enumerate(steps, 1)}


def which_mac(device: Device) -> dict[str, str]:
    """Return facts by which to recognise the Mac of a key."""
    facts = {_("Mac"): ", ".join(part for part in (name(device), device.model) if part)}
    if device.serial:
        shown = _("{serial}   (the Mac also shows it if you click the question mark)")
        facts[_("Serial")] = shown.format(serial=device.serial)
    return facts


def group_wanted(number: int) -> str:
    """Say which group to type."""
    return _("Group {number}: type the four characters on your paper.").format(number=number)


def group_wrong(number: int, tries: int) -> str:
    """Say that a group is not right, and how many tries are left."""
    return ngettext(
        "Group {number} is wrong. Check your paper and type it again. One try left.",
        "Group {number} is wrong. Check your paper and type it again. {tries} tries left.",
        tries,
    ).format(number=number, tries=tries)


def group_spent(number: int) -> str:
    """Say that no tries are left for a group."""
    words = _("No tries left for group {number}. Press Esc, show the key and compare that group with your paper.")
    return words.format(number=number)


def never_in_a_key() -> str:
    """Say that a character cannot be in a key."""
    return _("That is never in a key. Keys have only letters A to Z and digits 0 to 9.")


def only_with_a_key(key: str) -> str:
    """Say that a key of the keyboard acts only on a recovery key."""
    return _("{key} works only while a recovery key is shown.").format(key=key)


def copy_right() -> str:
    """Say that all groups are right."""
    return _("Your copy is right. Go back to your Mac.")


def goodbye(how: Ending) -> str:
    """Say why the visit is over."""
    return _(_GOODBYE.get(how, _FAREWELL))


def fault(reference: str) -> str:
    """Say that the visit before failed."""
    return _("The last visit ended in an error and was erased. Reference {reference}").format(reference=reference)


def out_of_order(reference: str) -> str:
    """Say that visits keep failing."""
    words = _("This terminal has a temporary problem and will try again. Reference {reference}")
    return words.format(reference=reference)


def waiting(seconds: float) -> str:
    """Return a waiting time in words, rounded up."""
    minutes = -int(-seconds // 60)
    if minutes < 90:
        count = max(1, minutes)
        return ngettext("{count} minute", "{count} minutes", count).format(count=count)
    hours = -int(-minutes // 60)
    return ngettext("{count} hour", "{count} hours", hours).format(count=hours)


def wait_after(error: KioskError, clock: Clock) -> Deadline | None:
    """Return until when a retry cannot help, None if nobody has said."""
    return Deadline.after(clock, error.retry_after) if error.retry_after else None


def advice(error: KioskError, wait: Deadline | None) -> str:
    """Return what to do next, with one answer to when to try again: the usual words name a time of their own."""
    if wait is None:
        return _(error.next_step)
    now = wait.passed()
    when = _(TRY_NOW) if now else in_a_while(wait)
    if isinstance(error, LimitReached):
        return when if now else f"{_(error.next_step)}\n{when}"
    return f"{when} {_('If it happens again, tell the helpdesk and quote the reference.')}"


def in_a_while(wait: Deadline) -> str:
    """Return when a retry can help."""
    return _("You can try again in {time}.").format(time=waiting(wait.left()))


def word_pair(words: WordPair) -> str:
    """Return the words that the page asks for, in capital letters."""
    return " · ".join(_(WORDS[number]).upper() for number in words)


def no_scheme(address: str) -> str:
    """Return an address as people type it."""
    return address.removeprefix("https://")


def phone_stage(stage: Stage) -> tuple[str, str, str]:
    """Return the marked heading of a stage, what to do on the phone, and what comes after."""
    return _STAGES.get(stage, _ON_THE_PHONE)


def link_notice(renewal: Renewal | None, stage: Stage, *, answers: bool) -> str:
    """Return what to know in this stage of a sign-in on the phone."""
    if not answers:
        return _(PHONE_SILENT)
    if stage is Stage.WAITING:
        return _(_NEW_LINK) if renewal else ""
    return _(_NOT_YOUR_PHONE)


def digits_notice(notice: DigitsNotice | None, tries: int) -> str:
    """Return why the digits are asked for again, or what to type."""
    if notice is DigitsNotice.WRONG:
        return ngettext(
            "Those are not the digits. One try left.", "Those are not the digits. {tries} tries left.", tries
        ).format(tries=tries)
    if notice is DigitsNotice.UNANSWERED:
        return _("The recovery service did not answer. Type the digits again.")
    return _(NOT_ALL_DIGITS)


def code_notice(renewal: Renewal | None, *, answers: bool) -> str:
    """Return what to know about a sign-in code: that the service does not answer, or why it is a new one."""
    if not answers:
        return _(SILENT)
    return _(_RENEWAL[renewal]) if renewal else ""


def seen(device: Device, now: datetime) -> str:
    """Return in words when a device last reported."""
    last = device.last_seen
    if last is None:
        return _("never") if device.never_seen else _("not known")
    days = (now.date() - last.date()).days
    if days <= 0:
        return _("today")
    if days == 1:
        return _("yesterday")
    if days < 100:
        return ngettext("{count} day ago", "{count} days ago", days).format(count=days)
    return day(last.date())


def day(when: date) -> str:
    """Return a date in figures, in the order of the language."""
    # Translators: a date in figures, as short as your language writes it, such as {day}.{month}.{year}
    return _("{year}-{month}-{day}").format(year=when.year, month=f"{when.month:02}", day=f"{when.day:02}")


def how_many(macs: int) -> str:
    """Say how many Macs the list has."""
    return ngettext(
        "One Mac is registered to you.", "{count} Macs are registered to you. Type to filter the list.", macs
    ).format(count=macs)


def about(device: Device) -> str:
    """Return model, system and serial number on one line."""
    parts = [
        device.model,
        f"macOS {device.os_version}".strip(),
        _("serial number {serial}").format(serial=serial(device)),
    ]
    return ", ".join(part for part in parts if part)


def named(device: Device) -> str:
    """Return name, model and serial number on one line."""
    numbered = _("serial number {serial}").format(serial=serial(device))
    return ", ".join(part for part in (name(device), device.model, numbered) if part)


def name(device: Device) -> str:
    """Return the name of a Mac, or words for none."""
    return device.name or _("(no name)")


def serial(device: Device) -> str:
    """Return the serial number of a Mac, or words for none."""
    return device.serial or _("unknown")


def key_warning(code: str | None, recorders: Recorders) -> str:
    """Return what the person should know about a key: that it may not work, or that the screen may be recorded."""
    said = []
    # A code that this version of the kiosk does not know is not shown.
    if warning := kind_of(code):
        said.append(f"{_(warning.sentence)} {_(warning.next_step)}")
    if recorders.warns:
        programs = ", ".join(_(_WATCHERS.get(kind, kind)) for kind in recorders.kinds)
        said.append(_("Another program may see or save this screen: {programs}.").format(programs=programs))
    return " ".join(said)


def again(error: KioskError) -> str:
    """Return the marked label for trying again after an error."""
    return N_("Sign in again") if isinstance(error, SignInError | TokenRefused) else N_("Try again")


def help_with(error: KioskError, organisation: Organisation) -> dict[str, str]:
    """Return who can help, where, and what to quote."""
    facts = {_("Who can help"): _(error.who)}
    facts |= {_("Helpdesk"): organisation.helpdesk}
    facts |= {_("Reference"): f"{error.reference}  ({error.code})"}
    return facts | {"Microsoft": quoted} if (quoted := _microsofts(error)) else facts


def _microsofts(error: KioskError) -> str:
    """Return what Microsoft's support asks for after a refused sign-in."""
    if not isinstance(error, SignInError):
        return ""
    return "  ".join(part for part in (error.support, error.correlation_id, error.at) if part)


def narrowed(devices: Sequence[Device], wanted: str) -> tuple[Device, ...]:
    """Return the devices whose name, model and serial number contain every word of ``wanted``."""
    words = wanted.casefold().split()
    return tuple(
        device
        for device in devices
        if all(word in f"{device.name} {device.model} {device.serial}".casefold() for word in words)
    )
