"""Defines how a sign-in on the phone can fail. Kiosk, broker and sign-in page share these errors."""

from __future__ import annotations

from kiosk.errors.base import HELPDESK, KIOSK, SECURITY, TIME, YOU, OutOfOrder
from kiosk.errors.sign_in import SignInError
from kiosk.i18n import N_

_AGAIN = N_("Start again at the kiosk.")
_MAYBE_FORWARDED = N_(
    "If you are at the kiosk, start again there. If somebody sent you the link, tell your security team."
)


class PhoneSignInError(SignInError):
    """Base of all failures of the sign-in on a phone."""

    code = "phone_sign_in_failed"
    status = 403
    sentence = N_("The sign-in on the phone could not be completed.")
    next_step = _AGAIN
    who = YOU
    origin = "The sign-in page could not use what Entra ID answered. Its log names the cause."


class PhoneSignInUnknown(PhoneSignInError):
    code = "phone_sign_in_unknown"
    status = 404
    title = N_("This sign-in has ended")
    sentence = N_("The recovery service no longer has this sign-in.")
    origin = "The sign-in ended some time ago, the broker was restarted, or the phone's cookie is from another sign-in."


class PhoneSignInExpired(PhoneSignInError):
    code = "phone_sign_in_expired"
    title = N_("The sign-in has expired")
    sentence = N_("It was not completed in time.")
    origin = "A stage of the sign-in took too long: link, words, Entra ID, or the six digits."


class PhoneLinkUsed(PhoneSignInError):
    code = "phone_link_used"
    title = N_("This link has already been opened")
    sentence = N_("Each link can be opened only once.")
    next_step = N_("Continue on the phone that opened it first, or start again at the kiosk.")
    origin = "The link was opened a second time, without the cookie of the first phone. The first sign-in continues."


class PhoneLinkUnknown(PhoneSignInError):
    code = "phone_link_unknown"
    status = 404
    title = N_("This link is not valid")
    sentence = N_("It has expired, or it contains a typing error.")
    next_step = N_("Scan the QR code on the kiosk's screen, or type the address that is shown there now.")
    origin = "No sign-in has this link, or it was replaced by a newer one."


class PhoneWordsWrong(PhoneSignInError):
    code = "phone_words_wrong"
    title = N_("The words did not match")
    sentence = N_("The words chosen on the phone are not the ones on the kiosk's screen.")
    next_step = _MAYBE_FORWARDED
    origin = "The pair of words chosen is not the kiosk's. If this happens often, links may be being forwarded."


class PhoneNotHere(PhoneSignInError):
    code = "phone_not_here"
    title = N_("The phone is not at this kiosk")
    sentence = N_("The answer on the phone was that none of the words are on the kiosk's screen.")
    next_step = _MAYBE_FORWARDED
    who = SECURITY
    origin = "*None of these* was chosen on the sign-in page. The link may have been forwarded."


class PhoneNotMe(PhoneSignInError):
    code = "phone_not_me"
    title = N_("The sign-in was rejected on the phone")
    sentence = N_("The person who signed in did not recognise this sign-in.")
    next_step = _MAYBE_FORWARDED
    who = SECURITY
    origin = "*This is not me* was chosen on the sign-in page. The link may have been forwarded."


class PhoneCancelled(PhoneSignInError):
    code = "phone_cancelled"
    title = N_("The sign-in was cancelled on the phone")
    sentence = N_("Nobody has been signed in.")
    origin = "Cancelled on the sign-in page, or at Entra ID (`access_denied`)."


class KioskCancelled(PhoneSignInError):
    code = "kiosk_cancelled"
    title = N_("The sign-in was cancelled at the kiosk")
    sentence = N_("The kiosk was left, or another sign-in was started there.")
    origin = "Esc at the kiosk, its visit ended, or it began another sign-in."


class DigitsWrong(PhoneSignInError):
    code = "digits_wrong"
    status = 422
    title = N_("The digits do not match")
    sentence = N_("The digits typed here are not the ones on the phone.")
    next_step = N_("Check the six digits on the phone, and type them again.")
    origin = "The digits typed are not those that the phone shows. Each sign-in has three attempts."


class DigitsRefused(PhoneSignInError):
    code = "digits_refused"
    title = N_("The digits were not accepted")
    sentence = N_("They did not match after three attempts, so this sign-in has ended.")
    origin = "Three wrong attempts for one sign-in."


class PhoneTokensRefused(PhoneSignInError):
    code = "phone_tokens_refused"
    title = N_("Your sign-in was not accepted")
    sentence = N_("The recovery service received a sign-in from the phone that is not valid here.")
    next_step = N_("Start again and sign in with your account for this organisation.")
    origin = "The id token or access token has a wrong signature, audience, application, tenant, person or time."


class PhoneNonceWrong(PhoneTokensRefused):
    code = "phone_nonce_wrong"
    origin = "The id token belongs to another sign-in: its `nonce` is not the one of this sign-in, or was used before."


class PhoneSignInStale(PhoneTokensRefused):
    code = "phone_sign_in_stale"
    sentence = N_("The phone used an earlier sign-in, and a new one is needed here.")
    next_step = N_("Start again. If the phone does not ask you to sign in, tell the helpdesk.")
    who = HELPDESK
    origin = "`auth_time` is older than this sign-in, although the page asked for `prompt=login` and `max_age=0`."


class PhoneNoAuthTime(OutOfOrder, PhoneTokensRefused):
    code = "phone_no_auth_time"
    sentence = N_("The sign-in service does not say when you signed in.")
    who = KIOSK
    origin = "The id token has no `auth_time`: the optional claim is missing in the registration of the sign-in page."


class PhoneNoContext(OutOfOrder, PhoneTokensRefused):
    code = "phone_no_context"
    sentence = N_("The sign-in service does not confirm the kind of sign-in that is required here.")
    who = KIOSK
    origin = (
        "The id token has no `acrs` with the authentication context in `[sign_in] context`: the optional claim is "
        "missing in the registration of the sign-in page, or no Conditional Access policy uses the context."
    )


class SignInLimit(PhoneSignInError):
    code = "sign_in_limit"
    status = 429
    title = N_("Too many sign-ins at this kiosk")
    sentence = N_("Too many were started here in a short time.")
    next_step = N_("Wait a few minutes, then start again.")
    who = TIME
    origin = (
        "This kiosk reached `[limits] sign_ins_per_hour`, or too many sign-ins of all kiosks are open at the same time."
    )


class KioskNotKnown(OutOfOrder, PhoneSignInError):
    code = "kiosk_not_known"
    status = 403
    sentence = N_("The recovery service does not recognise this kiosk.")
    who = KIOSK
    origin = (
        "The request has no client certificate that `[listen] client_ca` signed, or comes from the user of the sign-in "
        "page. `kiosk enroll` makes a certificate for a kiosk."
    )


class SignInPageNotKnown(OutOfOrder, PhoneSignInError):
    code = "sign_in_page_not_known"
    status = 403
    sentence = N_("The recovery service does not recognise this sign-in page.")
    who = KIOSK
    origin = "The request does not come from `[sign_in] page_user` or `[sign_in] page_certificate`."


class SignInPageDown(OutOfOrder, PhoneSignInError):
    code = "sign_in_page_down"
    status = 503
    sentence = N_("The page for signing in on the phone is not working.")
    next_step = N_("Try again later, or ask the helpdesk for the key.")
    who = KIOSK
    final = False
    origin = (
        "No sign-in page has reported to the broker for a minute: `kiosk sign-in` is not running or cannot reach it."
    )


class SignInMethodOff(OutOfOrder, PhoneSignInError):
    code = "sign_in_method_off"
    status = 403
    sentence = N_("The recovery service does not allow this way of signing in.")
    who = KIOSK
    origin = "`[sign_in] method` is not the same in `kiosk.toml` and `broker.toml`."


class PhoneNoCookie(PhoneSignInError):
    code = "phone_no_cookie"
    status = 400
    title = N_("Your browser has no sign-in here")
    sentence = N_("The sign-in is over, or your browser did not keep the one cookie that this page needs.")
    next_step = N_("Start again at the kiosk. If it happens again, allow cookies or use another browser.")
    origin = "A request without the cookie of the sign-in page, or with one that was made with another private key."


class PhoneForged(PhoneSignInError):
    code = "phone_forged"
    title = N_("This request did not come from this page")
    sentence = N_("Another page or an earlier sign-in sent this request, so nothing was done.")
    next_step = N_("Go back to the page of your sign-in, or start again at the kiosk.")
    origin = (
        "A form that another site sent, or an answer of Entra ID to another sign-in than that of the phone's cookie."
    )
