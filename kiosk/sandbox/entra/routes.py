"""The sign-in service: discovery, device codes, tokens. Paths, names and errors are those of Entra ID v2.0."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kiosk.clock import Clock
from kiosk.sandbox.entra.assertion import ASSERTION_TYPE, Assertions
from kiosk.sandbox.entra.authorization import NO_CONTEXTS, AuthorizationCodes, Contexts
from kiosk.sandbox.entra.device_code import DeviceCodes, Outcome
from kiosk.sandbox.entra.errors import (
    EntraError,
    entra_headers,
    missing_parameter,
    requested_application,
    requested_tenant,
    sign_in_refusal,
)
from kiosk.sandbox.entra.issuer import GRAPH, TOKEN_SECONDS, Issuer
from kiosk.sandbox.entra.scopes import OPENID, parse_scopes, require_default_scope
from kiosk.sandbox.http import form_fields, json_response
from kiosk.sandbox.tenant.directory import Application, Directory, Person

DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Signing keys are also published under this name, which is no tenant's.
_ANY_TENANT = "common"

Form = Mapping[str, str]


@dataclass(frozen=True)
class _SignIn:
    """A completed sign-in: what tokens are issued from, now or later against a refresh token."""

    client_id: str
    person: Person
    signed_in: int
    scope: str
    contexts: Contexts = NO_CONTEXTS


class Entra:
    """The routes of the sign-in service."""

    def __init__(
        self,
        base: str,
        directory: Directory,
        issuer: Issuer,
        device_codes: DeviceCodes,
        codes: AuthorizationCodes,
        clock: Clock,
        certificates: Mapping[str, Sequence[x509.Certificate]],
    ) -> None:
        """``certificates`` are those registered for each application, by client id."""
        self._base = base
        self._directory = directory
        self._issuer = issuer
        self._device_codes = device_codes
        self._codes = codes
        self._certificates = certificates
        self._assertions = Assertions(clock)
        # By the digest of the refresh token.
        self._sign_ins: dict[str, _SignIn] = {}

    def routes(self) -> list[Route]:
        """Return the routes of the service."""
        return [
            Route("/common/discovery/instance", self._instance),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            Route("/{tenant}/discovery/v2.0/keys", self._published_keys),
            Route("/{tenant}/oauth2/v2.0/devicecode", self._device_code, methods=["POST"]),
            Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
        ]

    async def _instance(self, request: Request) -> Response:
        endpoint = f"{self._base}/{self._directory.tenant.id}/v2.0/.well-known/openid-configuration"
        host = self._base.removeprefix("https://")
        metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        return _answer(request, {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata})

    async def _discovery(self, request: Request) -> Response:
        root = f"{self._base}/{requested_tenant(request, self._directory.tenant)}"
        return _answer(
            request,
            {
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": sorted(OPENID),
                "issuer": self._issuer.issuer,
                "request_uri_parameter_supported": False,
                "userinfo_endpoint": f"{GRAPH}/oidc/userinfo",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "http_logout_supported": True,
                "frontchannel_logout_supported": True,
                "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
                "claims_supported": [
                    "sub", "iss", "cloud_instance_name", "aud", "exp", "iat", "auth_time", "acr", "nonce", "name",
                    "preferred_username", "tid", "ver", "email",
                ],
                "tenant_region_scope": "EU",
                "cloud_instance_name": self._base.removeprefix("https://"),
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": GRAPH.removeprefix("https://"),
            },
        )  # fmt: skip

    async def _published_keys(self, request: Request) -> Response:
        if request.path_params["tenant"] != _ANY_TENANT:
            requested_tenant(request, self._directory.tenant)
        return _answer(request, self._issuer.keys.jwks(self._issuer.issuer))

    async def _device_code(self, request: Request) -> Response:
        tenant = self._directory.tenant
        requested_tenant(request, tenant)
        form = await form_fields(request)
        application = requested_application(form, tenant)
        scope = form.get("scope", "")
        if not scope.strip():
            raise missing_parameter("scope")
        parse_scopes(scope, application, tenant)
        origin = request.client.host if request.client else ""
        grant = self._device_codes.issue(application, tuple(scope.split()), origin)
        page = f"{self._base}/devicelogin"
        return _answer(
            request,
            {
                "user_code": grant.user_code,
                "device_code": grant.device_code,
                "verification_uri": page,
                "expires_in": self._device_codes.expires_seconds,
                "interval": self._device_codes.interval_seconds,
                "message": f"To sign in, use a web browser to open the page {page} and enter the code "
                f"{grant.user_code} to authenticate.",
            },
        )

    async def _token(self, request: Request) -> Response:
        tenant = requested_tenant(request, self._directory.tenant)
        form = await form_fields(request)
        application = requested_application(form, self._directory.tenant)
        grant_type = form.get("grant_type", "")
        if not grant_type:
            raise missing_parameter("grant_type")
        if grant_type == DEVICE_CODE_GRANT:
            answer = self._by_device_code(form, application)
        elif grant_type == "client_credentials":
            answer = self._by_certificate(form, application, tenant)
        elif grant_type == "authorization_code":
            self._authenticate(form, application, tenant)
            answer = self._by_code(form, application)
        elif grant_type == "refresh_token":
            self._authenticate(form, application, tenant)
            answer = self._by_refresh_token(form, application)
        else:
            words = f"The app requested an unsupported grant type '{grant_type[:40]}'."
            raise EntraError(70003, "unsupported_grant_type", words)
        return _answer(request, answer)

    def _by_device_code(self, form: Form, application: Application) -> dict[str, Any]:
        if not application.public:
            raise _no_credential()
        outcome, grant = self._device_codes.poll(form.get("device_code") or form.get("code", ""), application)
        if outcome is not Outcome.APPROVED or grant is None:
            raise EntraError(*_POLL_ERRORS[outcome])
        scope = " ".join(grant.scopes)
        sign_in = _SignIn(application.client_id, self._person(grant.oid), grant.signed_in, scope)
        return self._tokens(sign_in, application, form)

    def _by_code(self, form: Form, application: Application) -> dict[str, Any]:
        grant = self._codes.redeem(form, application)
        asked = grant.asked
        scope = form.get("scope") or asked.scope
        sign_in = _SignIn(application.client_id, self._person(grant.oid), grant.signed_in, scope, asked.contexts)
        return self._tokens(sign_in, application, form, asked.nonce)

    def _by_refresh_token(self, form: Form, application: Application) -> dict[str, Any]:
        sign_in = self._sign_ins.get(_digest(form.get("refresh_token", "")))
        if sign_in is None or sign_in.client_id != application.client_id:
            raise EntraError(9002313, "invalid_grant", "The refresh token is invalid, expired or was revoked.")
        return self._tokens(replace(sign_in, scope=form.get("scope") or sign_in.scope), application, form)

    def _tokens(self, sign_in: _SignIn, application: Application, form: Form, nonce: str = "") -> dict[str, Any]:
        """Return the token response for a person."""
        person, signed_in, contexts = sign_in.person, sign_in.signed_in, sign_in.contexts
        if person.refusal is not None:
            raise sign_in_refusal(person.refusal)
        requested = parse_scopes(sign_in.scope, application, self._directory.tenant)
        names = " ".join(requested.names)
        if requested.resource == GRAPH:
            claims = self._issuer.graph_person_claims(person, application, names or "openid profile")
        else:
            claims = self._issuer.person_claims(person, application, names, signed_in, contexts.access_token)
        answer = self._access_token(claims) | {"scope": requested.full()}
        if "openid" in requested.openid:
            id_claims = self._issuer.id_claims(person, application, signed_in, nonce, contexts.id_token)
            answer["id_token"] = self._issuer.keys.sign(id_claims)
        if "offline_access" in requested.openid:
            answer["refresh_token"] = token = secrets.token_urlsafe(96)
            self._sign_ins[_digest(token)] = sign_in
        if form.get("client_info") == "1":
            answer["client_info"] = self._issuer.client_info(person)
        return answer

    def _by_certificate(self, form: Form, application: Application, tenant: str) -> dict[str, Any]:
        if "client_secret" in form:
            words = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{application.client_id}'."
            )
            raise EntraError(7000215, "invalid_client", words, status=401)
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            words = (
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
            )
            raise EntraError(7000216, "invalid_client", words, status=401)
        self._check_assertion(form, application, tenant)
        require_default_scope(form.get("scope", ""), self._base)
        return self._access_token(self._issuer.graph_application_claims(application, application.permissions))

    def _authenticate(self, form: Form, application: Application, tenant: str) -> None:
        """Check that a confidential application proves who it is, and that a public one does not try."""
        presented = form.get("client_assertion_type") == ASSERTION_TYPE and bool(form.get("client_assertion"))
        if application.public and (presented or "client_secret" in form):
            words = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
            raise EntraError(700025, "invalid_client", words, status=401)
        if not application.public:
            if not presented:
                raise _no_credential()
            self._check_assertion(form, application, tenant)

    def _check_assertion(self, form: Form, application: Application, tenant: str) -> None:
        endpoints = [f"{self._base}/{name}/oauth2/v2.0/token" for name in (tenant, self._directory.tenant.id)]
        certificates = self._certificates.get(application.client_id, ())
        self._assertions.check(form["client_assertion"], application.client_id, certificates, endpoints)

    def _person(self, oid: str) -> Person:
        person = self._directory.person(oid)
        assert person is not None
        return person

    def _access_token(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "ext_expires_in": TOKEN_SECONDS,
            "access_token": self._issuer.keys.sign(claims),
        }


_POLL_ERRORS = {
    Outcome.UNKNOWN: (70018, "bad_verification_code", "The provided device_code is not valid."),
    Outcome.EXPIRED: (
        70020,
        "expired_token",
        "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
    ),
    Outcome.PENDING: (
        70016,
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    ),
    Outcome.TOO_SOON: (70016, "slow_down", "OAuth 2.0 device flow error. The client polls too often."),
    Outcome.DECLINED: (65004, "authorization_declined", "User declined to consent to access the app."),
    Outcome.REDEEMED: (54005, "invalid_grant", "OAuth2 Authorization code was already redeemed."),
}


def _answer(request: Request, body: Mapping[str, Any]) -> Response:
    return json_response(body, headers=entra_headers(request))


def _no_credential() -> EntraError:
    words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    return EntraError(7000218, "invalid_client", words, status=401)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
