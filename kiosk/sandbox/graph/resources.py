"""How a device looks on the wire: the names and the defaults of Graph's ``managedDevice``."""

from __future__ import annotations

import datetime as dt
from typing import Any

from kiosk.sandbox.tenant.directory import Device, Person

_NO_GUID = "00000000-0000-0000-0000-000000000000"
_DEVICE_TYPES = {"macOS": "macMDM", "Windows": "windowsRT", "iOS": "iPhone", "iPadOS": "iPad"}
_CERTIFICATE_LIFETIME = dt.timedelta(days=365)
_MAKERS = {"Windows": "Dell Inc."}

# Null in every list and in every answer that does not name them in $select.
DETAILS_V1 = frozenset({"activationLockBypassCode", "udid", "notes", "ethernetMacAddress", "physicalMemoryInBytes"})
DETAILS_BETA = DETAILS_V1 | {"bootstrapTokenEscrowed", "hardwareInformation"}
_BETA_ONLY = frozenset(
    {
        "ownerType",
        "enrolledByUserPrincipalName",
        "deviceType",
        "joinType",
        "managementFeatures",
        "processorArchitecture",
    }
)

# What is the same for every device here.
_CONSTANT: dict[str, Any] = {
    "jailBroken": "Unknown",
    "managementFeatures": "none",
    "deviceRegistrationState": "registered",
    "deviceCategoryDisplayName": "Unknown",
    "processorArchitecture": "unknown",
    "easActivated": False,
    "easDeviceId": "",
    "easActivationDateTime": "0001-01-01T00:00:00Z",
    "exchangeAccessState": "none",
    "exchangeAccessStateReason": "none",
    "exchangeLastSuccessfulSyncDateTime": "0001-01-01T00:00:00Z",
    "remoteAssistanceSessionUrl": "",
    "phoneNumber": "",
    "imei": "",
    "meid": "",
    "iccid": "",
    "androidSecurityPatchLevel": "",
    "subscriberCarrier": "",
    "freeStorageSpaceInBytes": 0,
    "totalStorageSpaceInBytes": 0,
    "partnerReportedThreatState": "unknown",
    "requireUserEnrollmentApproval": None,
    "complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z",
    "configurationManagerClientEnabledFeatures": None,
    "deviceHealthAttestationState": None,
} | dict.fromkeys(DETAILS_BETA)


def moment(value: dt.datetime) -> str:
    """A time as Graph writes it."""
    return value.isoformat().replace("+00:00", "Z")


def managed_device(device: Device, person: Person | None, actions: list[dict[str, str]]) -> dict[str, Any]:
    """All properties of beta, details left null."""
    address = person.address if person else ""
    name = person.name if person else ""
    supervised = device.enrollment.startswith("appleBulk")
    registered = device.agent == "mdm" and device.owner == "company"
    return {
        "id": device.id,
        "userId": device.user,
        "deviceName": device.name,
        "managedDeviceName": f"{address.partition('@')[0]}_{device.os}_{moment(device.enrolled)}",
        "managedDeviceOwnerType": device.owner,
        "ownerType": device.owner,
        "enrolledDateTime": moment(device.enrolled),
        "lastSyncDateTime": moment(device.seen),
        "operatingSystem": device.os,
        "osVersion": device.os_version,
        "model": device.model,
        "manufacturer": _MAKERS.get(device.os, "Apple"),
        "serialNumber": device.serial,
        "complianceState": device.compliance,
        "managementAgent": device.agent,
        "managementState": device.state,
        "deviceType": _DEVICE_TYPES.get(device.os, "unknown"),
        "joinType": "azureADRegistered" if registered else "unknown",
        "deviceEnrollmentType": device.enrollment,
        "azureADRegistered": registered,
        "azureADDeviceId": device.azure_id if registered else _NO_GUID,
        "isEncrypted": device.encryption in {"success", "driveEncryptedByUser", "escrowNotEnabled"},
        "isSupervised": supervised,
        "emailAddress": address,
        "userPrincipalName": address,
        "userDisplayName": name,
        "enrolledByUserPrincipalName": address,
        "wiFiMacAddress": device.azure_id.replace("-", "")[:12].upper(),
        "managementCertificateExpirationDate": moment(device.enrolled + _CERTIFICATE_LIFETIME),
        "deviceActionResults": actions,
    } | _CONSTANT


def details(device: Device) -> dict[str, Any]:
    """What only a question for this one device, by name of the property, is told."""
    plain = device.id.replace("-", "").upper()
    return {
        "activationLockBypassCode": None,
        "udid": f"{plain[:8]}-{plain[8:24]}",
        "notes": "",
        "ethernetMacAddress": plain[:12],
        "physicalMemoryInBytes": 17_179_869_184,
        "bootstrapTokenEscrowed": device.key is not None,
        "hardwareInformation": {"serialNumber": device.serial, "model": device.model, "osBuildNumber": ""},
    }


def encryption_state(device: Device, person: Person | None) -> dict[str, Any]:
    """A ``managedDeviceEncryptionState``: why there is no key."""
    encrypted = device.encryption in {"success", "driveEncryptedByUser", "escrowNotEnabled"}
    ready = device.encryption != "notReady"
    reason = {"notEncrypted": "", "notReady": ""}.get(device.encryption, device.encryption)
    return {
        "id": device.id,
        "userPrincipalName": person.address if person else "",
        "deviceType": _DEVICE_TYPES.get(device.os, "unknown"),
        "osVersion": device.os_version,
        "tpmSpecificationVersion": "",
        "deviceName": device.name,
        "encryptionReadinessState": "ready" if ready else "notReady",
        "encryptionState": "encrypted" if encrypted else "notEncrypted",
        "encryptionPolicySettingState": device.policy,
        "advancedBitLockerStates": "success",
        "fileVaultStates": reason or None,
        "policyDetails": [],
    }


def known_properties(*, beta: bool) -> frozenset[str]:
    """What ``$select`` may name in that version."""
    return _ALL if beta else _ALL - _BETA_ONLY - (DETAILS_BETA - DETAILS_V1)


_ALL = frozenset(managed_device(Device(), None, []))
