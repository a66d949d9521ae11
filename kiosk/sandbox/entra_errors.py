"""Refusals as Entra ID writes them."""

from __future__ import annotations

import datetime as dt

from kiosk.sandbox.web import Refusal, Request, json_response

# What a sign-in can end with although the person approved it: the OAuth error, the sub-error, the words.
SIGN_IN_REFUSALS = {
    50034: ("invalid_grant", "", "The user account does not exist in the directory."),
    50053: ("invalid_grant", "", "The account is locked, you've tried to sign in too many times."),
    50055: ("invalid_grant", "user_password_expired", "The password is expired."),
    50057: ("invalid_grant", "", "The user account is disabled."),
    50076: (
        "interaction_required",
        "basic_action",
        "Due to a configuration change made by your administrator, you must use multi-factor authentication.",
    ),
    50079: (
        "interaction_required",
        "basic_action",
        "Due to a configuration change made by your administrator, you must enroll in multi-factor authentication.",
    ),
    50097: ("interaction_required", "device_authentication_failed", "Device authentication is required."),
    50105: (
        "invalid_grant",
        "",
        "The application blocks users unless they are specifically granted ('assigned') access to it.",
    ),
    53000: ("interaction_required", "message_only", "Device is not in required device state: compliant."),
    53003: (
        "invalid_grant",
        "message_only",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    530032: ("invalid_grant", "message_only", "Access has been blocked by security policy."),
}


def entra_error(
    request: Request,
    now: dt.datetime,
    code: int,
    error: str,
    words: str,
    *,
    status: int = 400,
    suberror: str = "",
) -> Refusal:
    """A refusal of the sign-in service. ``client-request-id`` comes back as the correlation id."""
    body = entra_error_body(request, now, code, error, words, suberror=suberror)
    return Refusal(json_response(body, status, entra_headers(request)))


def entra_headers(request: Request) -> dict[str, str]:
    """What the sign-in service sends with every answer."""
    headers = {"x-ms-request-id": request.id, "p3p": 'CP="DSP CUR OTPi IND OTRi ONL FIN"'}
    if "client-request-id" in request.headers:
        headers["client-request-id"] = request.client_request_id
    return headers


def entra_error_body(
    request: Request, now: dt.datetime, code: int, error: str, words: str, *, suberror: str = ""
) -> dict[str, object]:
    """The same, as a value."""
    stamp = now.strftime("%Y-%m-%d %H:%M:%SZ")
    trail = f"Trace ID: {request.id} Correlation ID: {request.client_request_id} Timestamp: {stamp}"
    body: dict[str, object] = {
        "error": error,
        "error_description": f"AADSTS{code}: {words} {trail}",
        "error_codes": [code],
        "timestamp": stamp,
        "trace_id": request.id,
        "correlation_id": request.client_request_id,
        "error_uri": f"https://{request.headers.get('host', 'localhost')}/error?code={code}",
    }
    return body | ({"suberror": suberror} if suberror else {})


def unknown_application(request: Request, now: dt.datetime, client_id: str, tenant: str) -> Refusal:
    """No such application in this tenant."""
    words = (
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant."
    )
    return entra_error(request, now, 700016, "unauthorized_client", words)


def unknown_tenant(request: Request, now: dt.datetime, tenant: str) -> Refusal:
    """No such tenant."""
    words = (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant."
    )
    return entra_error(request, now, 90002, "invalid_tenant", words)
