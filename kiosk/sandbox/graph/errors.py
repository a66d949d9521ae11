"""Errors as Graph words them, and as Intune behind it does: its own JSON as a string inside Graph's, twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kiosk.sandbox.http import Refusal, client_request_id, json_response, request_id

_SERVICE = "https://fef.sandbox01.manage.microsoft.com/DeviceFE/StatelessDeviceFEService"
_OPERATION = "00000000-0000-0000-0000-000000000000"
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"Sandbox","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"SB000000"}}'
)
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)
PRIVILEGED = ["DeviceManagementManagedDevices.PrivilegedOperations.All"]


class GraphError(Refusal):
    """An error of Graph itself."""

    def __init__(self, status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self._message = message
        self._headers = headers or {}

    def message(self, request: Request) -> str:
        """Return the message, which may name the request."""
        return self._message

    def response(self, request: Request, now: dt.datetime) -> Response:
        """Return the error as OData wraps it."""
        inner = {
            "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id(request),
            "client-request-id": client_request_id(request),
        }
        body = {"error": {"code": self.code, "message": self.message(request), "innerError": inner}}
        return json_response(body, self.status, graph_headers(request) | dict(self._headers))


class IntuneError(GraphError):
    """An error of Intune as Graph passes it on. ``error_code`` is Intune's own, ``code`` Graph's."""

    def __init__(self, status: int, error_code: str, code: str = "UnknownError") -> None:
        super().__init__(status, code)
        self._error_code = error_code

    def message(self, request: Request) -> str:
        """Return Intune's document with its inner document, both as strings."""
        realm = {"WWW-Authenticate": f'Bearer realm="urn:intune:service,{_OPERATION}"'} if self.status == 401 else {}
        inner = _support_document(request, "An error has occurred", realm)
        outer: dict[str, object] = {
            "ErrorCode": self._error_code,
            "Message": msgspec.json.format(inner, indent=2).decode().replace("\n", "\r\n"),
            "Target": None,
            "Details": None,
            "InnerError": None,
            "InstanceAnnotations": [],
        }
        return msgspec.json.encode(outer).decode()


class NotPermitted(GraphError):
    """The application lacks the permission that a request needs."""

    def __init__(self, permissions: list[str]) -> None:
        super().__init__(403, "Forbidden")
        self._permissions = permissions

    def message(self, request: Request) -> str:
        """Return Intune's inner document alone, as a string."""
        words = (
            "Application is not authorized to perform this operation. Application must have one of the following "
            f"scopes: {', '.join(self._permissions)}"
        )
        return _support_document(request, words, {}).decode()


class NoRoute(GraphError):
    """A path that Graph has and Intune does not serve. ``template`` is the path in OData's terms."""

    def __init__(self, template: str) -> None:
        super().__init__(400, "No method match route template")
        self._template = template

    def message(self, request: Request) -> str:
        """Return the message with the path and method of the request."""
        return (
            f"No OData route exists that match template {self._template} with http verb {request.method} for request "
            f"/DeviceFE/StatelessDeviceFEService{request['path']}."
        )


def graph_headers(request: Request) -> dict[str, str]:
    """Return the headers of every answer of Graph."""
    return {
        "request-id": request_id(request),
        "client-request-id": client_request_id(request),
        "x-ms-ags-diagnostic": _DIAGNOSTIC,
        "odata-version": "4.0",
    }


def token_error(message: str) -> GraphError:
    """Return the error for a request without a token that Graph accepts."""
    return GraphError(401, "InvalidAuthenticationToken", message, {"www-authenticate": _CHALLENGE})


def unknown_segment(segment: str) -> GraphError:
    """Return the error for a path that Graph does not have."""
    return GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def unknown_object(name: str) -> GraphError:
    """Return the error for an object of the directory that does not exist."""
    words = f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", words)


def not_found() -> IntuneError:
    """Return the error for a device, or for something of a device, that Intune does not have."""
    return IntuneError(404, "ResourceNotFound", code="ResourceNotFound")


def failure(status: int) -> GraphError:
    """Return the error with which Graph, or Intune behind it, gives this status for no particular reason."""
    match status:
        case 401:
            return IntuneError(401, "Forbidden")
        case 403:
            return NotPermitted(PRIVILEGED)
        case 404:
            return not_found()
    return GraphError(status, *_FAILURES.get(status, ("UnknownError", "")))


_FAILURES = {
    429: ("TooManyRequests", "Too many requests. Please retry after some time."),
    500: ("InternalServerError", "An internal server error occurred. The operation failed."),
    502: ("BadGateway", "The upstream service could not be reached."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable. Please retry after some time."),
    504: ("GatewayTimeout", "The upstream service did not answer in time."),
}


def _support_document(request: Request, words: str, headers: Mapping[str, str]) -> bytes:
    """Return the innermost document, which an administrator would send to Microsoft's support."""
    message = (
        f"{words} - Operation ID (for customer support): {_OPERATION} - Activity ID: {client_request_id(request)} - "
        f"Url: {_SERVICE}{request['path']}?api-version=5026-09-01"
    )
    return msgspec.json.encode(
        {
            "_version": 3,
            "Message": message,
            "CustomApiErrorPhrase": "",
            "RetryAfter": None,
            "ErrorSourceService": "",
            "HttpHeaders": msgspec.json.encode(headers).decode(),
        }
    )
