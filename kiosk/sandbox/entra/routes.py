"""The sign-in service: discovery, device codes, tokens. Paths, names and refusals are those of Entra ID v2.0."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography import x509

from kiosk.clock import Clock
from kiosk.sandbox.entra.assertion import ASSERTION_TYPE, AssertionProblem, Assertions
from kiosk.sandbox.entra.device_code import DeviceCodes, Outcome
from kiosk.sandbox.entra.errors import SIGN_IN_REFUSALS, entra_error, entra_headers, unknown_application, unknown_tenant
from kiosk.sandbox.entra.issuer import GRAPH, TOKEN_SECONDS, Issuer
from kiosk.sandbox.entra.scopes import OPENID, Asked, ScopeProblem, only_default, understand
from kiosk.sandbox.tenant.directory import Application, Directory, Person
from kiosk.sandbox.web import Request, Response, Routes, json_response

DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SHARED = "common"


@dataclass(frozen=True)
class _Kept:
    """What a refresh token stands for."""

    application: Application
    person: Person
    signed_in: int
    scope: str


class Entra:
    """Routes of the sign-in service."""

    def __init__(
        self,
        base: str,
        directory: Directory,
        issuer: Issuer,
        codes: DeviceCodes,
        clock: Clock,
        certificates: dict[str, Sequence[x509.Certificate]],
    ) -> None:
        self._base = base
        self._directory = directory
        self._issuer = issuer
        self._codes = codes
        self._clock = clock
        self._certificates = certificates
        self._assertions = Assertions()
        self._kept: dict[str, _Kept] = {}

    def add_to(self, routes: Routes) -> None:
        """Add what the sign-in service answers."""
        routes.add("GET", "/common/discovery/instance", self._instance)
        routes.add("GET", "/{tenant}/v2.0/.well-known/openid-configuration", self._discovery)
        routes.add("GET", "/{tenant}/discovery/v2.0/keys", self._published_keys)
        routes.add("POST", "/{tenant}/oauth2/v2.0/devicecode", self._device_code)
        routes.add("POST", "/{tenant}/oauth2/v2.0/token", self._token)

    def _instance(self, request: Request) -> Response:
        endpoint = f"{self._base}/{self._directory.tenant.id}/v2.0/.well-known/openid-configuration"
        host = self._base.removeprefix("https://")
        metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        return json_response(
            {"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": metadata},
            headers=entra_headers(request),
        )

    def _discovery(self, request: Request, tenant: str) -> Response:
        self._check_tenant(request, tenant)
        root = f"{self._base}/{tenant}"
        return json_response(
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
            headers=entra_headers(request),
        )  # fmt: skip

    def _published_keys(self, request: Request, tenant: str) -> Response:
        if tenant != _SHARED:
            self._check_tenant(request, tenant)
        return json_response(self._issuer.keys.jwks(self._issuer.issuer), headers=entra_headers(request))

    def _device_code(self, request: Request, tenant: str) -> Response:
        self._check_tenant(request, tenant)
        form = request.form()
        application = self._application(request, form)
        scope = form.get("scope", "")
        if not scope.strip():
            words = "The request body must contain the following parameter: 'scope'."
            raise entra_error(request, self._clock.utc(), 900144, "invalid_request", words)
        self._understand(request, scope, application)
        grant = self._codes.issue(application, tuple(scope.split()), request.client)
        where = f"{self._base}/devicelogin"
        return json_response(
            {
                "user_code": grant.user_code,
                "device_code": grant.device_code,
                "verification_uri": where,
                "expires_in": self._codes.expires_seconds,
                "interval": self._codes.interval_seconds,
                "message": f"To sign in, use a web browser to open the page {where} and enter the code "
                f"{grant.user_code} to authenticate.",
            },
            headers=entra_headers(request),
        )

    def _token(self, request: Request, tenant: str) -> Response:
        self._check_tenant(request, tenant)
        form = request.form()
        application = self._application(request, form)
        kind = form.get("grant_type", "")
        if kind == DEVICE_CODE_GRANT:
            answer = self._by_device_code(request, form, application)
        elif kind == "client_credentials":
            answer = self._by_certificate(request, form, application, tenant)
        elif kind == "refresh_token":
            answer = self._by_refresh_token(request, form, application)
        elif kind:
            words = f"The app requested an unsupported grant type '{kind[:40]}'."
            raise entra_error(request, self._clock.utc(), 70003, "unsupported_grant_type", words)
        else:
            words = "The request body must contain the following parameter: 'grant_type'."
            raise entra_error(request, self._clock.utc(), 900144, "invalid_request", words)
        return json_response(answer, headers=entra_headers(request))

    def _by_device_code(self, request: Request, form: dict[str, str], application: Application) -> dict[str, Any]:
        self._only_public(request, application)
        outcome, grant = self._codes.poll(form.get("device_code") or form.get("code", ""), application)
        if outcome is not Outcome.APPROVED or grant is None:
            code, error, words = _POLL_ANSWERS[outcome]
            raise entra_error(request, self._clock.utc(), code, error, words)
        person = self._directory.person(grant.oid)
        assert person is not None
        self._let_in(request, person)
        return self._for_person(request, _Kept(application, person, grant.signed_in, " ".join(grant.scopes)), form)

    def _by_refresh_token(self, request: Request, form: dict[str, str], application: Application) -> dict[str, Any]:
        kept = self._kept.get(_digest(form.get("refresh_token", "")))
        if kept is None or kept.application != application:
            words = "The refresh token is invalid, expired or was revoked."
            raise entra_error(request, self._clock.utc(), 9002313, "invalid_grant", words)
        self._let_in(request, kept.person)
        scope = form.get("scope") or kept.scope
        return self._for_person(request, _Kept(application, kept.person, kept.signed_in, scope), form)

    def _for_person(self, request: Request, kept: _Kept, form: dict[str, str]) -> dict[str, Any]:
        asked = self._understand(request, kept.scope, kept.application)
        names = " ".join(asked.names)
        if asked.resource == GRAPH:
            claims = self._issuer.graph_person_claims(kept.person, kept.application, names or "openid profile")
        else:
            claims = self._issuer.person_claims(kept.person, kept.application, names, kept.signed_in)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": asked.full(),
            "expires_in": TOKEN_SECONDS,
            "ext_expires_in": TOKEN_SECONDS,
            "access_token": self._issuer.keys.sign(claims),
        }
        if "openid" in asked.openid:
            identity = self._issuer.id_claims(kept.person, kept.application, kept.signed_in)
            answer["id_token"] = self._issuer.keys.sign(identity)
        if "offline_access" in asked.openid:
            answer["refresh_token"] = token = secrets.token_urlsafe(96)
            self._kept[_digest(token)] = kept
        if form.get("client_info") == "1":
            answer["client_info"] = self._issuer.client_info(kept.person)
        return answer

    def _by_certificate(
        self, request: Request, form: dict[str, str], application: Application, tenant: str
    ) -> dict[str, Any]:
        now = self._clock.utc()
        if "client_secret" in form:
            words = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{application.client_id}'."
            )
            raise entra_error(request, now, 7000215, "invalid_client", words, status=401)
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            words = (
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."
            )
            raise entra_error(request, now, 7000216, "invalid_client", words, status=401)
        endpoints = [f"{self._base}/{name}/oauth2/v2.0/token" for name in (tenant, self._directory.tenant.id)]
        certificates = self._certificates.get(application.client_id, ())
        try:
            self._assertions.check(form["client_assertion"], application.client_id, certificates, endpoints, now)
        except AssertionProblem as problem:
            raise entra_error(request, now, problem.code, "invalid_client", problem.words, status=401) from None
        try:
            only_default(form.get("scope", ""), self._base)
        except ScopeProblem as problem:
            raise entra_error(request, now, problem.code, problem.error, problem.words) from None
        claims = self._issuer.graph_application_claims(application, application.permissions)
        return {
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "ext_expires_in": TOKEN_SECONDS,
            "access_token": self._issuer.keys.sign(claims),
        }

    def _check_tenant(self, request: Request, tenant: str) -> None:
        if tenant.lower() not in (self._directory.tenant.id, self._directory.tenant.domain):
            raise unknown_tenant(request, self._clock.utc(), tenant)

    def _application(self, request: Request, form: dict[str, str]) -> Application:
        client_id = form.get("client_id", "")
        if not client_id:
            words = "The request body must contain the following parameter: 'client_id'."
            raise entra_error(request, self._clock.utc(), 900144, "invalid_request", words)
        application = self._directory.tenant.application(client_id)
        if application is None:
            raise unknown_application(request, self._clock.utc(), client_id, self._directory.tenant.name)
        return application

    def _only_public(self, request: Request, application: Application) -> None:
        if not application.public:
            words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise entra_error(request, self._clock.utc(), 7000218, "invalid_client", words, status=401)

    def _let_in(self, request: Request, person: Person) -> None:
        if person.refusal is not None:
            error, suberror, words = SIGN_IN_REFUSALS.get(person.refusal, ("invalid_grant", "", "Sign-in was refused."))
            raise entra_error(request, self._clock.utc(), person.refusal, error, words, suberror=suberror)

    def _understand(self, request: Request, scope: str, application: Application) -> Asked:
        try:
            return understand(scope, application, self._directory.tenant)
        except ScopeProblem as problem:
            self._refuse_scope(request, problem)

    def _refuse_scope(self, request: Request, problem: ScopeProblem) -> NoReturn:
        suberror = "consent_required" if problem.error == "invalid_grant" else ""
        raise entra_error(
            request, self._clock.utc(), problem.code, problem.error, problem.words, suberror=suberror
        ) from None


_POLL_ANSWERS = {
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


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
