"""Errors as Entra ID words them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from kiosk.sandbox.http import Refusal, client_request_id, json_response, request_id
from kiosk.sandbox.tenant.directory import Application, Tenant

_MFA = "Due to a configuration change made by your administrator, you must use multi-factor authentication."
_REGISTER = "Due to a configuration change made by your administrator, you must enroll in multi-factor authentication."
_NOT_COMPLIANT = "Device is not in required device state: compliant."
_OTHER_TENANT = "User account from an identity provider does not exist in the tenant and cannot access the application."
_TRANSIENT = "A transient error has occurred. Please try again."

# How Entra ID can refuse a sign-in that the person has approved, by AADSTS number: OAuth error, suberror, words.
SIGN_IN_REFUSALS: dict[int, tuple[str, str, str]] = {
    16000: ("interaction_required", "", "Either multiple user identities are available or the account is not known."),
    50012: ("invalid_client", "", "Authentication failed."),
    50014: ("invalid_grant", "", "The user's redemption is in a pending state."),
    50020: ("invalid_grant", "", _OTHER_TENANT),
    50033: ("invalid_grant", "", "A transient error has occurred while the account was looked up."),
    50034: ("invalid_grant", "", "The user account does not exist in the directory."),
    50053: ("invalid_grant", "", "The account is locked, you've tried to sign in too many times."),
    50055: ("invalid_grant", "user_password_expired", "The password is expired."),
    50057: ("invalid_grant", "", "The user account is disabled."),
    50072: ("interaction_required", "basic_action", _REGISTER),
    50074: ("interaction_required", "basic_action", "Strong Authentication is required."),
    50076: ("interaction_required", "basic_action", _MFA),
    50078: ("interaction_required", "basic_action", "Presented multi-factor authentication has expired."),
    50079: ("interaction_required", "basic_action", _REGISTER),
    50089: ("invalid_grant", "", "Authentication failed due to flow token expired."),
    50097: ("interaction_required", "device_authentication_failed", "Device authentication is required."),
    50105: (
        "invalid_grant",
        "",
        "The application blocks users unless they are specifically granted ('assigned') access to it.",
    ),
    50126: ("invalid_grant", "", "Error validating credentials due to invalid username or password."),
    50131: ("interaction_required", "message_only", "Suspicious activity was found by Conditional Access."),
    50140: ("interaction_required", "", "This occurred due to 'Keep me signed in' interrupt."),
    50144: ("invalid_grant", "user_password_expired", "The user's Active Directory password has expired."),
    50158: ("interaction_required", "basic_action", "External security challenge was not satisfied."),
    50173: ("invalid_grant", "bad_token", "The provided grant has expired due to it being revoked."),
    50196: ("invalid_grant", "", "The server terminated an operation because it encountered a client request loop."),
    50199: ("interaction_required", "", "For security reasons, user confirmation is required for this request."),
    51004: ("invalid_grant", "", "The user account doesn't exist in the directory."),
    53000: ("interaction_required", "message_only", _NOT_COMPLIANT),
    53001: ("interaction_required", "message_only", "Device is not in required device state: domain joined."),
    53003: (
        "invalid_grant",
        "message_only",
        "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
    ),
    53004: ("interaction_required", "message_only", "User needs to complete registration, blocked for risk."),
    53011: ("invalid_grant", "message_only", "User blocked due to risk on home tenant."),
    65001: ("invalid_grant", "consent_required", "The user or administrator has not consented to use the application."),
    65004: ("access_denied", "", "User declined to consent to access the app."),
    70008: ("invalid_grant", "bad_token", "The provided authorization code or refresh token has expired."),
    70018: ("invalid_grant", "", "Invalid verification code due to user typing in wrong user code."),
    70019: ("invalid_grant", "", "Verification code expired."),
    70043: ("invalid_grant", "bad_token", "The refresh token has expired due to sign-in frequency checks."),
    90006: ("server_error", "", "An external server retryable error has occurred."),
    90012: ("invalid_request", "", "The request has timed out."),
    90024: ("invalid_request", "", "The request budget has been exceeded. A transient error has occurred."),
    90033: ("temporarily_unavailable", "", _TRANSIENT),
    90072: ("interaction_required", "", _OTHER_TENANT),
    90094: ("invalid_grant", "consent_required", "Admin consent is required for the permissions requested."),
    90095: ("invalid_grant", "consent_required", "Admin consent is required for the permissions requested."),
    90119: ("invalid_request", "", "The user code is null or empty."),
    90120: ("invalid_grant", "", "The device flow was authenticated already."),
    500011: ("invalid_resource", "", "The resource principal was not found in the tenant."),
    500208: ("invalid_grant", "", "The domain is not a valid login domain for the account type."),
    530003: ("interaction_required", "message_only", "Your device is required to be managed to access this resource."),
    530032: ("invalid_grant", "message_only", "Access has been blocked by security policy."),
    530035: ("invalid_grant", "message_only", "Access has been blocked by security defaults."),
    530036: ("invalid_grant", "message_only", "The token was invalidated by an authentication flows policy."),
    650057: ("invalid_resource", "", "The client has requested access to a resource which is not listed."),
    700016: ("unauthorized_client", "", "Application was not found in the directory."),
    700027: ("invalid_client", "", "The certificate used to sign the client assertion is not registered."),
    700082: ("invalid_grant", "bad_token", "The refresh token has expired due to inactivity."),
    7000215: ("invalid_client", "", "Invalid client secret provided."),
    7000218: ("invalid_client", "", "The request body must contain: 'client_assertion' or 'client_secret'."),
    7000222: ("invalid_client", "", "The provided client secret keys are expired."),
    90002: ("invalid_tenant", "", "Tenant not found."),
}


class EntraError(Refusal):
    """An error of the sign-in service: its AADSTS number, its OAuth error, and words without any secret."""

    def __init__(self, number: int, error: str, words: str, *, suberror: str = "", status: int = 400) -> None:
        super().__init__(f"AADSTS{number}: {words}")
        self.number = number
        self.error = error
        self.words = words
        self.suberror = suberror
        self.status = status

    def response(self, request: Request, now: dt.datetime) -> Response:
        """Return the error as JSON; the client's own id comes back as the correlation id."""
        body: dict[str, object] = {
            "error": self.error,
            "error_description": self.description(request, now),
            "error_codes": [self.number],
            "timestamp": _stamp(now),
            "trace_id": request_id(request),
            "correlation_id": client_request_id(request),
            "error_uri": self.uri(request),
        }
        if self.suberror:
            body["suberror"] = self.suberror
        return json_response(body, self.status, entra_headers(request))

    def description(self, request: Request, now: dt.datetime) -> str:
        """Return number and words, and what names the request in Entra ID's own log."""
        return (
            f"AADSTS{self.number}: {self.words} Trace ID: {request_id(request)} "
            f"Correlation ID: {client_request_id(request)} Timestamp: {_stamp(now)}"
        )

    def uri(self, request: Request) -> str:
        """Return the address of the page about this number."""
        return f"https://{request.headers.get('host', 'localhost')}/error?code={self.number}"


def _stamp(now: dt.datetime) -> str:
    return now.strftime("%Y-%m-%d %H:%M:%SZ")


def entra_headers(request: Request) -> dict[str, str]:
    """Return the headers of every answer of the sign-in service."""
    headers = {"x-ms-request-id": request_id(request), "p3p": 'CP="DSP CUR OTPi IND OTRi ONL FIN"'}
    if "client-request-id" in request.headers:
        headers["client-request-id"] = client_request_id(request)
    return headers


def sign_in_refusal(number: int) -> EntraError:
    """Return the refusal with this AADSTS number; in general words if the table does not have it."""
    error, suberror, words = SIGN_IN_REFUSALS.get(number, ("invalid_grant", "", "Sign-in was refused."))
    return EntraError(number, error, words, suberror=suberror)


def missing_parameter(name: str) -> EntraError:
    """Return the error for a form without a required field."""
    words = f"The request body must contain the following parameter: '{name}'."
    return EntraError(900144, "invalid_request", words)


def requested_tenant(request: Request, tenant: Tenant) -> str:
    """Return the tenant of the path, as the client wrote it. Raises EntraError if it is not this one."""
    name: str = request.path_params["tenant"]
    if name.lower() not in (tenant.id, tenant.domain):
        raise unknown_tenant(name)
    return name


def requested_application(fields: Mapping[str, str], tenant: Tenant) -> Application:
    """Return the application that the request names. Raises EntraError."""
    client_id = fields.get("client_id", "")
    if not client_id:
        raise missing_parameter("client_id")
    application = tenant.application(client_id)
    if application is None:
        raise unknown_application(client_id, tenant.name)
    return application


def unknown_application(client_id: str, tenant: str) -> EntraError:
    """Return the error for a client id that is not registered in the tenant."""
    words = (
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant."
    )
    return EntraError(700016, "unauthorized_client", words)


def unknown_tenant(tenant: str) -> EntraError:
    """Return the error for a tenant that is not this one."""
    words = (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant."
    )
    return EntraError(90002, "invalid_tenant", words)


def unknown_resource(resource: str) -> EntraError:
    """Return the error for a scope of an API that the tenant does not have."""
    words = (
        f"The resource principal named {resource} was not found in the tenant. This can happen if the application has "
        "not been installed by the administrator of the tenant or consented to by any user in the tenant."
    )
    return EntraError(500011, "invalid_resource", words)
