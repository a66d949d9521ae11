"""Refusals as Graph writes them, and as Intune behind it does: its own JSON as a string inside Graph's, twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from kiosk.sandbox.web import Refusal, Request, Response, json_response

_SERVICE = "https://fef.sandbox01.manage.microsoft.com/DeviceFE/StatelessDeviceFEService"
_OPERATION = "00000000-0000-0000-0000-000000000000"
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"SB000000"}}'
)


def graph_headers(request: Request) -> dict[str, str]:
    """What Graph sends with every answer."""
    return {
        "request-id": request.id,
        "client-request-id": request.client_request_id,
        "x-ms-ags-diagnostic": _DIAGNOSTIC,
        "odata-version": "4.0",
    }


def graph_error(
    request: Request,
    now: dt.datetime,
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    """A refusal of Graph itself."""
    inner = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request.id,
        "client-request-id": request.client_request_id,
    }
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    return Refusal(json_response(body, status, graph_headers(request) | dict(headers or {})))


def intune_error(
    request: Request,
    now: dt.datetime,
    status: int,
    error_code: str,
    words: str = "An error has occurred",
    code: str = "UnknownError",
) -> Refusal:
    """A refusal of Intune, wrapped as Graph passes it on."""
    realm = msgspec.json.encode({"WWW-Authenticate": f'Bearer realm="urn:intune:service,{_OPERATION}"'}).decode()
    inner = {
        "_version": 3,
        "Message": _support(request, words),
        "CustomApiErrorPhrase": "",
        "RetryAfter": None,
        "ErrorSourceService": "",
        "HttpHeaders": realm if status == 401 else "{}",
    }
    outer: dict[str, object] = {
        "ErrorCode": error_code,
        "Message": msgspec.json.format(msgspec.json.encode(inner), indent=2).decode().replace("\n", "\r\n"),
        "Target": None,
        "Details": None,
        "InnerError": None,
        "InstanceAnnotations": [],
    }
    return graph_error(request, now, status, code, msgspec.json.encode(outer).decode())


def not_permitted(request: Request, now: dt.datetime, permissions: list[str]) -> Refusal:
    """The application has not been given what this needs."""
    words = (
        "Application is not authorized to perform this operation. Application must have one of the following scopes: "
        + ", ".join(permissions)
    )
    inner = {"_version": 3, "Message": _support(request, words), "CustomApiErrorPhrase": "", "RetryAfter": None}
    inner |= {"ErrorSourceService": "", "HttpHeaders": "{}"}
    return graph_error(request, now, 403, "Forbidden", msgspec.json.encode(inner).decode())


def token_error(request: Request, now: dt.datetime, message: str) -> Refusal:
    """No token, or one that cannot be taken."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return graph_error(request, now, 401, "InvalidAuthenticationToken", message, {"www-authenticate": challenge})


def unknown_segment(request: Request, now: dt.datetime, segment: str) -> Refusal:
    """A path that Graph does not have."""
    return graph_error(request, now, 400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def no_route(request: Request, now: dt.datetime, template: str) -> Refusal:
    """A path that Graph has and Intune does not serve."""
    message = (
        f"No OData route exists that match template {template} with http verb {request.method} for request "
        f"/DeviceFE/StatelessDeviceFEService{request.path}."
    )
    return graph_error(request, now, 400, "No method match route template", message)


def plain_failure(request: Request, now: dt.datetime, status: int) -> Response:
    """What Graph, or Intune behind it, answers with that status when nothing else is known."""
    if status == 401:
        return intune_error(request, now, 401, "Forbidden").response
    if status == 403:
        return not_permitted(request, now, ["DeviceManagementManagedDevices.PrivilegedOperations.All"]).response
    if status == 404:
        return intune_error(request, now, 404, "ResourceNotFound", code="ResourceNotFound").response
    code, message = {
        429: ("TooManyRequests", "Too many requests. Please retry after some time."),
        500: ("InternalServerError", "An internal server error occurred. The operation failed."),
        502: ("BadGateway", "The upstream service could not be reached."),
        503: ("ServiceUnavailable", "The service is temporarily unavailable. Please retry after some time."),
        504: ("GatewayTimeout", "The upstream service did not answer in time."),
    }.get(status, ("UnknownError", ""))
    return graph_error(request, now, status, code, message).response


def _support(request: Request, words: str) -> str:
    return (
        f"{words} - Operation ID (for customer support): {_OPERATION} - Activity ID: {request.client_request_id} - "
        f"Url: {_SERVICE}{request.path}?api-version=5026-09-01"
    )
