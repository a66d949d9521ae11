"""Checks of the broker's access to Graph: a token, its permissions, and one harmless request."""

from __future__ import annotations

import asyncio
import re

import httpx
import jwt
import msgspec

from kiosk.broker.graph.credential import Credential
from kiosk.broker.graph.requests import Backoff, GraphHttp, NotFound
from kiosk.broker.tokens.signing_keys import KeyRing
from kiosk.checks.result import Finding, Wrong, failed, passed, together, warning
from kiosk.checks.trust import Service, trust
from kiosk.clock import Clock
from kiosk.config.broker import GraphSettings, TokenSettings
from kiosk.errors import GraphGarbled, GraphNoRole, GraphRefused, GraphThrottled, KioskError, TokensUnavailable
from kiosk.net.http import timeouts
from kiosk.net.tls import tls_context
from kiosk.text import clean

READ = "DeviceManagementManagedDevices.Read.All"
PRIVILEGED = "DeviceManagementManagedDevices.PrivilegedOperations.All"
CONFIGURATION = "DeviceManagementConfiguration.Read.All"
_READ_AND_MORE = {READ, "DeviceManagementManagedDevices.ReadWrite.All"}
_CONFIGURATION_AND_MORE = {CONFIGURATION, "DeviceManagementConfiguration.ReadWrite.All"}
_GRANT = "as an application permission of Microsoft Graph to the registration Kiosk broker, with admin consent"
_REQUEST_SECONDS = 10
_QUICK = Backoff(first=0.2, most=1.0, tries=2)
# Microsoft's error numbers. They only choose the text of a fix.
_NUMBER = re.compile(r"\[(\d+)")
_FIXES = {
    "700016": "correct graph.client_id: no registration of this tenant has it",
    "90002": "correct the tenant's id in graph.authority",
    "700027": "upload the certificate that is in use to the registration Kiosk broker",
    "7000222": "make a new certificate and upload it to the registration Kiosk broker",
    "500011": "correct graph.url: the sign-in service has no Graph of that name",
    "53003": "let this machine's address through in Conditional Access for workload identities",
}


def signing_keys(settings: TokenSettings, clock: Clock) -> Finding:
    """Fetch the keys for verifying people's tokens as the broker does. Raises Wrong."""

    async def fetched() -> int:
        client = httpx.AsyncClient(verify=tls_context(settings.ca_bundle), trust_env=False, timeout=timeouts())
        ring = KeyRing(settings, clock, client)
        try:
            return len((await ring.current()).by_id)
        finally:
            await ring.close()

    try:
        return passed(f"{asyncio.run(fetched())} that can be used")
    except TokensUnavailable as error:
        return failed(error.cause, "check that tokens.authority and tokens.tenant are right; docs/tenant.md, step 4")


def token(settings: GraphSettings, clock: Clock) -> tuple[Finding, str]:
    """Get a token for Graph with the certificate. Returns it beside the finding. Raises Wrong."""
    trust(Service(settings.authority, "graph.authority", settings.ca_bundle, "graph.ca_bundle"), clock)

    async def acquired() -> str:
        credential = Credential(settings, clock)
        try:
            return await credential.token()
        finally:
            credential.close()

    try:
        return passed("Entra ID issues one for the certificate"), asyncio.run(acquired())
    except KioskError as error:
        number = _NUMBER.search(error.cause)
        fix = _FIXES.get(
            number[1] if number else "", "check that graph.authority, graph.client_id and the certificate match"
        )
        raise Wrong(error.cause or str(error), f"{fix}; docs/tenant.md, step 3") from None


def permissions(access_token: str) -> Finding:
    """Check the permissions in a token. They are read without verifying it: Graph makes the decision."""
    try:
        claims = jwt.decode(access_token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return warning(
            "the token cannot be read, so its permissions are unknown",
            "compare the permissions of the registration Kiosk broker with docs/tenant.md, step 3",
        )
    named = claims.get("roles")
    roles = {clean(role, 80) for role in named if isinstance(role, str)} if isinstance(named, list) else set()
    findings: list[Finding] = []
    if not roles & _READ_AND_MORE:
        findings.append(failed(f"missing: {READ}", f"grant {READ} {_GRANT}"))
    if PRIVILEGED not in roles and not roles & _CONFIGURATION_AND_MORE:
        findings.append(
            failed(
                f"missing for the key: {CONFIGURATION}, or {PRIVILEGED}",
                f"grant {CONFIGURATION} {_GRANT}; docs/tenant.md says which one you need",
            )
        )
    if more := sorted(roles - {READ, PRIVILEGED, CONFIGURATION}):
        names = ", ".join(more)
        findings.append(warning(f"more than needed: {names}", f"remove {names} from the registration Kiosk broker"))
    return together(findings, ", ".join(sorted(roles)))


def reachable(settings: GraphSettings, clock: Clock) -> Finding:
    """Check that Graph answers one request, for the id of one device. Raises Wrong."""
    trust(Service(settings.url, "graph.url", settings.ca_bundle, "graph.ca_bundle"), clock)
    quick = msgspec.structs.replace(settings, total_seconds=min(settings.total_seconds, _REQUEST_SECONDS))

    async def asked() -> object:
        http = GraphHttp(quick, Credential(quick, clock), clock, _QUICK)
        try:
            path = "/deviceManagement/managedDevices?$top=1&$select=id"
            return msgspec.json.decode(await http.get(http.budget(), settings.url.rstrip("/") + path))
        finally:
            await http.close()

    try:
        answer = asyncio.run(asked())
    except NotFound as error:
        return failed(str(error), "end graph.url with /beta, at the host that docs/tenant.md names for your cloud")
    except GraphNoRole as error:
        return failed(error.cause, "check that the tenant has Intune, and gives the registration Kiosk broker access")
    except GraphRefused as error:
        return failed(error.cause, f"grant {READ} {_GRANT}, and check that the tenant has Intune")
    except GraphThrottled as error:
        return warning(f"{error.cause}: Graph is busy", "check again in a few minutes")
    except (GraphGarbled, msgspec.DecodeError) as error:
        return failed(
            f"this is not an answer from Graph: {error}",
            "check that graph.url is right and that no proxy answers instead",
        )
    except KioskError as error:
        return failed(error.cause, "check again; if the problem persists, see Microsoft's service health")
    if not isinstance(answer, dict) or not isinstance(answer.get("value"), list):
        return failed("not an answer from Graph: no list of devices", "check that graph.url is right")
    return passed("lists devices" if answer["value"] else "answers; it lists no device")
