"""Defines how a sign-in on the phone can fail. Kiosk, broker and sign-in page share these errors."""

from __future__ import annotations

from kiosk.errors.base import HELPDESK, KIOSK, SECURITY, TIME, YOU, OutOfOrder
from kiosk.errors.sign_in import SignInError
from kiosk.i18n import N_

_AGAIN = N_("Start the sign-in again at the kiosk.")


class PhoneSignInError(SignInError):
    """Base of all failures of the sign-in on a phone."""

    code = "phone_sign_in_failed"
    status = 403
    sentence = N_("The sign-in on the phone did not work.")
    next_step = _AGAIN
    who = YOU
    origin = "The sign-in page could not use what Entra ID answered. Its log names the cause."


class PhoneSignInUnknown(PhoneSignInError):
    code = "phone_sign_in_unknown"
    status = 404
    title = N_("This sign-in has ended")
    sentence = N_("The recovery service no longer knows this sign-in.")
    origin = "The sign-in is over and forgotten, its broker was restarted, or the phone's cookie is of another sign-in."


class PhoneSignInExpired(PhoneSignInError):
    code = "phone_sign_in_expired"
    title = N_("The time for this sign-in is over")
    sentence = N_("The sign-in was not completed in time.")
    origin = "A stage of the sign-in took longer than it may: link, words, Entra ID, or the six digits."


class PhoneLinkUsed(PhoneSignInError):
    code = "phone_link_used"
    title = N_("This link has been opened already")
    sentence = N_("Each link opens once, and another phone or program has opened this one.")
    origin = "The link was opened a second time, without the cookie of the first. The first one goes on."


class PhoneLinkUnknown(PhoneSignInError):
    code = "phone_link_unknown"
    status = 404
    title = N_("This link is not valid")
    sentence = N_("Links are valid for a short time only, and this one is too old or was mistyped.")
    next_step = N_("Scan the QR code on the kiosk's screen, or type the address that is there now.")
    origin = "No sign-in has this link, or it was replaced by a newer one."


class PhoneWordsWrong(PhoneSignInError):
    code = "phone_words_wrong"
    title = N_("The words did not match")
    sentence = N_("The words that were chosen on the phone are not those on the kiosk's screen.")
    next_step = N_(
        "If you are at the kiosk, start again there. If somebody sent you this link, tell your security team."
    )
    origin = "Another pair of words was chosen than the kiosk shows. Repeated, it can be a forwarded link."


class PhoneNotHere(PhoneSignInError):
    code = "phone_not_here"
    title = N_("The phone is not at this kiosk")
    sentence = N_("On the phone, somebody said that none of the words are on the screen in front of them.")
    next_step = N_(
        "If you are at the kiosk, start again there. If somebody sent you this link, tell your security team."
    )
    who = SECURITY
    origin = "None of these was chosen on the sign-in page. It can be a forwarded link."


class PhoneNotMe(PhoneSignInError):
    code = "phone_not_me"
    title = N_("The phone said: this is not me")
    sentence = N_("The person who signed in on the phone does not want this sign-in.")
    who = SECURITY
    origin = "This is not me was chosen on the sign-in page, after the sign-in. It can be a forwarded link."


class PhoneCancelled(PhoneSignInError):
    code = "phone_cancelled"
    title = N_("The sign-in was cancelled on the phone")
    sentence = N_("Somebody cancelled the sign-in on the phone.")
    origin = "Cancelled on the sign-in page, or at Entra ID (`access_denied`)."


class KioskCancelled(PhoneSignInError):
    code = "kiosk_cancelled"
    title = N_("The sign-in was cancelled at the kiosk")
    sentence = N_("Somebody cancelled the sign-in at the kiosk, or left it.")
    origin = "Esc at the kiosk, its visit ended, or it began another sign-in."


class DigitsWrong(PhoneSignInError):
    code = "digits_wrong"
    status = 422
    title = N_("Those are not the digits")
    sentence = N_("The digits that you typed are not those on the phone.")
    next_step = N_("Type the six digits that the phone shows now.")
    origin = "Other digits than the phone shows. Three tries for each sign-in."


class DigitsRefused(PhoneSignInError):
    code = "digits_refused"
    title = N_("Too many wrong digits")
    sentence = N_("Wrong digits were typed three times, so this sign-in has ended.")
    origin = "Three wrong tries for one sign-in."


class PhoneTokensRefused(PhoneSignInError):
    code = "phone_tokens_refused"
    title = N_("Your sign-in was not accepted")
    sentence = N_("The sign-in that the recovery service received from the phone is not valid here.")
    next_step = N_("Start again and sign in with your account for this organisation.")
    origin = "The id token or the access token has another signature, audience, tenant, person or time than it must."


class PhoneNonceWrong(PhoneTokensRefused):
    code = "phone_nonce_wrong"
    origin = "The id token belongs to another sign-in: its `nonce` is not the one of this sign-in, or was used before."


class PhoneSignInStale(PhoneTokensRefused):
    code = "phone_sign_in_stale"
    sentence = N_("You have to sign in now, and an earlier sign-in of the phone was used.")
    next_step = N_("Start again. If the phone does not ask you to sign in, tell the helpdesk.")
    who = HELPDESK
    origin = "`auth_time` is older than this sign-in, although `prompt=login` and `max_age=0` were asked for."


class PhoneNoAuthTime(OutOfOrder, PhoneTokensRefused):
    code = "phone_no_auth_time"
    sentence = N_("The sign-in service does not say when you signed in.")
    who = KIOSK
    origin = "The id token has no `auth_time`: the optional claim is missing in the registration of the sign-in page."


class PhoneNoContext(OutOfOrder, PhoneTokensRefused):
    code = "phone_no_context"
    sentence = N_("The sign-in service does not confirm the strength of sign-in that is required here.")
    who = KIOSK
    origin = (
        "The id token has no `acrs` with the authentication context in `[sign_in] context`: the optional claim is "
        "missing in the registration of the sign-in page, or no Conditional Access policy uses the context."
    )


class SignInLimit(PhoneSignInError):
    code = "sign_in_limit"
    status = 429
    title = N_("Too many sign-ins at this kiosk")
    sentence = N_("Sign-in was started here too often in a short time.")
    next_step = N_("Wait a little and start again.")
    who = TIME
    origin = "The limit `[limits] sign_ins_per_hour` of this kiosk, or of all that are open at one time."


class KioskNotKnown(OutOfOrder, PhoneSignInError):
    code = "kiosk_not_known"
    status = 403
    sentence = N_("The recovery service does not know this kiosk.")
    who = KIOSK
    origin = (
        "The request has no client certificate that `[listen] client_ca` signed, or comes from the user of the sign-in "
        "page. `kiosk enroll` makes a certificate for a kiosk."
    )


class SignInPageNotKnown(OutOfOrder, PhoneSignInError):
    code = "sign_in_page_not_known"
    status = 403
    sentence = N_("The recovery service does not know this sign-in page.")
    who = KIOSK
    origin = "The request does not come from `[sign_in] page_user` or `[sign_in] page_certificate`."


class SignInPageDown(OutOfOrder, PhoneSignInError):
    code = "sign_in_page_down"
    status = 503
    sentence = N_("The page on which people sign in with their phone does not work.")
    next_step = N_("Try again later, or ask the helpdesk for the key.")
    who = KIOSK
    final = False
    origin = "No sign-in page has reported to the broker for a minute: `kiosk sign-in` does not run or cannot reach it."


class SignInMethodOff(OutOfOrder, PhoneSignInError):
    code = "sign_in_method_off"
    status = 403
    sentence = N_("The recovery service does not allow this way to sign in.")
    who = KIOSK
    origin = "`[sign_in] method` of kiosk and broker differ."
