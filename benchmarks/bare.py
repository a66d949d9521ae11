"""Send only the requests that a release needs, without checks, record, seal or screen."""

from __future__ import annotations

import time
import uuid
from types import TracebackType
from typing import Any

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from jwt.utils import base64url_encode

from benchmarks.services import Services
from kiosk.config.broker import BrokerConfig
from kiosk.config.loading import load

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Bare:
    """A client of Entra ID and Graph with one persistent connection."""

    def __init__(self, services: Services) -> None:
        config = load(services.directory / "broker.toml", BrokerConfig).graph
        self._config = config
        self._http = httpx.Client(verify=services.tls(), trust_env=False)
        self._devices = f"{config.url}/deviceManagement/managedDevices"
        pem = config.certificate.read_bytes()
        self._key: Any = serialization.load_pem_private_key(pem, None)
        self._thumbprint = base64url_encode(x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())).decode()
        self._host = config.url.removesuffix("/beta")
        self._headers: dict[str, str] = {}

    def _sign_in(self) -> None:
        """Get a token for the certificate."""
        now = int(time.time())
        claims = {"iss": self._config.client_id, "sub": self._config.client_id, "jti": str(uuid.uuid4())}
        address = f"{self._config.authority}/oauth2/v2.0/token"
        assertion = jwt.encode(
            claims | {"aud": address, "nbf": now, "exp": now + 300},
            self._key,
            algorithm="PS256",
            headers={"x5t#S256": self._thumbprint},
        )
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "scope": f"{self._host}/.default",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        answer = self._http.post(address, data=form).raise_for_status().json()
        self._headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def find(self, name: str) -> str:
        """Return the id of the device of that name."""
        self._sign_in()
        found = self._get(f"?$filter=deviceName%20eq%20'{name}'&$select=id")
        return str(found["value"][0]["id"])

    def key(self, device_id: str, *, fresh_token: bool = False) -> str:
        """Fetch the device, its primary users and its recovery key, and return the key."""
        if fresh_token:
            self._sign_in()
        self._get(f"/{device_id}?$select=id,userId,managedDeviceOwnerType,managementState")
        self._get(f"/{device_id}/users?$select=id")
        return str(self._get(f"/{device_id}/getFileVaultKey")["value"])

    def _get(self, path: str) -> Any:
        return self._http.get(self._devices + path, headers=self._headers).raise_for_status().json()

    def __enter__(self) -> Bare:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
