"""Devices as Graph shows them: property names and default values of ``managedDevice`` and its relatives."""

from __future__ import annotations

import datetime as dt
from typing import Any

from kiosk.sandbox.tenant.directory import Device, Person

_NO_GUID = "00000000-0000-0000-0000-000000000000"
_DEVICE_TYPES = {"macOS": "macMDM", "Windows": "windowsRT", "iOS": "iPhone", "iPadOS": "iPad"}
_ENCRYPTED = frozenset({"success", "driveEncryptedByUser", "escrowNotEnabled"})
_CERTIFICATE_LIFETIME = dt.timedelta(days=365)
_MAKERS = {"Windows": "Dell Inc."}

# Null in every list, and for a single device unless $select names them.
_DETAILS_V1 = frozenset({"activationLockBypassCode", "udid", "notes", "ethernetMacAddress", "physicalMemoryInBytes"})
_DETAILS_BETA = _DETAILS_V1 | {"bootstrapTokenEscrowed", "hardwareInformation"}
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

# The same for every device of the sandbox.
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
} | dict.fromkeys(sorted(_DETAILS_BETA))


def moment(value: dt.datetime) -> str:
    """Return the moment as Graph writes it."""
    return value.isoformat().replace("+00:00", "Z")


def managed_device(device: Device, person: Person | None, actions: list[dict[str, str]]) -> dict[str, Any]:
    """Return all properties of beta, with the details null."""
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
        "isEncrypted": device.encryption in _ENCRYPTED,
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
    """Return the properties that Graph gives for a single device only, and only if ``$select`` names them."""
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
    """Return the ``managedDeviceEncryptionState``, which says why there is no key."""
    reason = {"notEncrypted": "", "notReady": ""}.get(device.encryption, device.encryption)
    return {
        "id": device.id,
        "userPrincipalName": person.address if person else "",
        "deviceType": _DEVICE_TYPES.get(device.os, "unknown"),
        "osVersion": device.os_version,
        "tpmSpecificationVersion": "",
        "deviceName": device.name,
        "encryptionReadinessState": "notReady" if device.encryption == "notReady" else "ready",
        "encryptionState": "encrypted" if device.encryption in _ENCRYPTED else "notEncrypted",
        "encryptionPolicySettingState": device.policy,
        "advancedBitLockerStates": "success",
        "fileVaultStates": reason or None,
        "policyDetails": [],
    }


def known_properties(*, beta: bool) -> frozenset[str]:
    """Return the properties that ``$select`` may name in this version."""
    return _ALL if beta else _ALL - _BETA_ONLY - (_DETAILS_BETA - _DETAILS_V1)


_ALL = frozenset(managed_device(Device(), None, []))
