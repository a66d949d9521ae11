"""Checks of the configuration file: whether it loads, and whether its values make sense."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import msgspec

from kiosk.checks.authority import tenant_of
from kiosk.checks.result import Finding, failed, together, warning
from kiosk.checks.side import Side
from kiosk.config.broker import BrokerConfig
from kiosk.config.kiosk import KioskConfig
from kiosk.errors import ConfigError
from kiosk.models import SignInMethod
from kiosk.net.http import UNIX_PREFIX
from kiosk.text import GUID

CORRECT = "correct the key that the line names; docs/configuration.md explains all keys"
PASSED_ON = warning(
    "people sign in with device codes, which can be passed on: somebody who gets a person to enter one is signed in "
    "here as that person. Neither a second factor nor a passkey prevents it",
    'set sign_in.method to "web" and run a sign-in page; docs/tenant.md says more under “Device codes”',
)
_EXAMPLE = "00000000-0000-0000-0000-000000000000"
# The longest time from the sign-in screen to the key.
_SIGN_IN_SECONDS = 300
_SCOPE = "the scope of the registration Kiosk API in full: api://<its client id>/Session.Open"


def kiosk(side: Side[KioskConfig]) -> Finding:
    """``kiosk.toml``."""
    if broken := _broken(side.loaded):
        return broken
    config = side.config
    findings = list(_examples(config))
    findings += _phone(config) if config.sign_in.method is SignInMethod.WEB else _device_codes(config)
    if config.visit.visit_seconds < _SIGN_IN_SECONDS + config.visit.reveal_seconds:
        findings.append(
            warning(
                f"a visit of {config.visit.visit_seconds} s can end before a key has been shown for"
                f" {config.visit.reveal_seconds} s",
                f"set visit.visit_seconds to {_SIGN_IN_SECONDS + config.visit.reveal_seconds} or more",
            )
        )
    return together(findings, f"{side.path} can be used")


def _phone(config: KioskConfig) -> Iterator[Finding]:
    """Yield what is wrong with the sign-in on the phone."""
    if not config.sign_in.place:
        yield warning(
            "sign_in.place is empty: people on their phone cannot notice that a link is from another kiosk",
            'say where this kiosk is, such as sign_in.place = "Library, desk 7"',
        )
    if not config.broker.url.startswith(UNIX_PREFIX) and not (config.broker.certificate and config.broker.key):
        yield failed(
            "broker.certificate or broker.key is missing: a broker on https lets only known kiosks begin a sign-in",
            "make a certificate with kiosk enroll, and name it in [broker]",
        )


def _device_codes(config: KioskConfig) -> Iterator[Finding]:
    """Yield what is wrong with the sign-in by device code."""
    try:
        settings = config.device_code_settings
    except ConfigError as error:
        yield failed(str(error), "add the table [device_code]; docs/configuration.md explains all keys")
        return
    if "/" not in settings.scope:
        yield failed(f'device_code.scope is "{settings.scope}"', f"write {_SCOPE}")
    if not GUID.fullmatch(settings.client_id):
        yield failed(
            "device_code.client_id is not a GUID", "write the client id of the registration Kiosk client there"
        )


def broker(side: Side[BrokerConfig]) -> Finding:
    """``broker.toml``."""
    if broken := _broken(side.loaded):
        return broken
    config = side.config
    tokens, graph = config.tokens, config.graph
    findings = list(_examples(config))
    if not GUID.fullmatch(tokens.tenant):
        findings.append(
            failed(f'tokens.tenant is "{tokens.tenant}", not a GUID: every token is refused', "write the tenant's id")
        )
    elif tenant_of(tokens.authority).lower() != tokens.tenant.lower():
        findings.append(
            failed(
                f"tokens.authority names tenant {tenant_of(tokens.authority) or 'none'}, tokens.tenant another",
                "write the same tenant's id into tokens.authority and tokens.tenant",
            )
        )
    if tenant_of(graph.authority).lower() != tokens.tenant.lower():
        findings.append(
            warning(
                f"graph.authority names tenant {tenant_of(graph.authority) or 'none'}, tokens.tenant another",
                "write the same tenant's id into graph.authority and tokens.tenant",
            )
        )
    if not GUID.fullmatch(tokens.audience):
        findings.append(
            failed(
                f'tokens.audience is "{tokens.audience}", not a GUID: every token is refused',
                "write the client id of the registration Kiosk API into tokens.audience, without api://",
            )
        )
    registration = "Kiosk sign-in" if config.sign_in.method is SignInMethod.WEB else "Kiosk client"
    write_client = f"write the client id of the registration {registration} into tokens.client"
    if not GUID.fullmatch(tokens.client):
        findings.append(
            failed(
                f'tokens.client is "{tokens.client}", not a GUID: every token is refused',
                write_client,
            )
        )
    elif tokens.client.lower() in {tokens.audience.lower(), graph.client_id.lower()}:
        findings.append(
            failed(
                "tokens.client is the id of another registration: every token is refused",
                write_client,
            )
        )
    if "/" in tokens.scope:
        findings.append(
            failed(f'tokens.scope is "{tokens.scope}"', "write the short name into tokens.scope: Session.Open")
        )
    if not graph.url.rstrip("/").endswith("/beta"):
        findings.append(failed(f"graph.url is {graph.url}; keys are served in beta only", "end graph.url with /beta"))
    return together(findings, f"{side.path} can be used")


def _broken(loaded: object) -> Finding | None:
    if isinstance(loaded, ConfigError):
        if os.strerror(errno.EACCES) in str(loaded):
            return failed(str(loaded), "let the program's user read it; run the check as root, or as that user")
        return failed(str(loaded), CORRECT)
    return None


def _examples(config: KioskConfig | BrokerConfig) -> Iterator[Finding]:
    """Yield a finding for each value that is still that of the files in ``deploy/``."""
    for table, section in msgspec.to_builtins(config, enc_hook=str).items():
        for key, value in section.items() if isinstance(section, dict) else ():
            if isinstance(value, str) and (_EXAMPLE in value or value == "Example Organisation"):
                yield failed(
                    f"{table}.{key} is still the example's value",
                    f"set {table}.{key} to your organisation's value; docs/tenant.md says where to find it",
                )
