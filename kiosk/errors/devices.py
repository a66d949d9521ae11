"""Defines refusals to release the key of a device, and reasons why none is stored."""

from __future__ import annotations

from kiosk.errors.base import DEVICES, HELPDESK, YOU, KioskError
from kiosk.errors.refused import Refused
from kiosk.i18n import N_


class DeviceRefused(Refused):
    """Base of all refusals of a device. The list of Macs shows its words for an unknown code."""

    title = N_("No recovery key available here")
    sentence = N_("This device's key cannot be shown here.")
    next_step = N_("Contact the helpdesk and quote the reference.")
    who = HELPDESK
    final = True


class DeviceNotFound(DeviceRefused):
    code = "device_not_found"
    status = 404
    sentence = N_("Your organisation's device management no longer has this device.")
    next_step = N_("Ask the helpdesk whether it was removed or re-enrolled.")
    origin = "Graph no longer has a device with this id."


class DeviceNotYours(DeviceRefused):
    code = "device_not_yours"
    sentence = N_("This device is registered to someone else.")
    next_step = N_("If it is yours, ask the helpdesk to make you its primary user.")
    origin = "Graph: `userId`, or the primary user at `/users`, is somebody else."


class DeviceShared(DeviceRefused):
    code = "device_shared"
    sentence = N_("This is a shared Mac without a primary user, so only the helpdesk can give out its key.")
    next_step = N_("Ask the helpdesk to give you the key.")
    origin = "Graph: the device has no primary user."


class DevicePersonal(DeviceRefused):
    code = "device_personal"
    sentence = N_("This is your own Mac. Only you can see its key, on the Company Portal website.")
    next_step = N_("Open the Company Portal website on another device, choose this Mac, then Get recovery key.")
    who = YOU
    portal = True
    origin = "Graph: `managedDeviceOwnerType` is `personal`."


class DeviceNotMac(DeviceRefused):
    code = "device_not_mac"
    sentence = N_("This is not a Mac, so it has no FileVault recovery key.")
    next_step = N_("Ask the helpdesk how to recover this kind of device.")
    origin = "Graph: `operatingSystem` is another system than `macOS`."


class DeviceSystemUnknown(DeviceRefused):
    code = "device_system_unknown"
    sentence = N_("Your organisation's device management does not say whether this device is a Mac.")
    origin = "Graph: `operatingSystem` is missing, or neither `macOS` nor another system that the broker knows."


class DeviceOtherAgent(DeviceRefused):
    code = "device_other_agent"
    sentence = N_("This Mac is managed by another system, and its key is kept there.")
    next_step = N_("Ask the helpdesk to look up the key there.")
    origin = "Graph: `managementAgent` is neither `mdm` nor an agent that has its own code here."


class DeviceWithJamf(DeviceOtherAgent):
    code = "device_jamf"
    sentence = N_("This Mac is managed by Jamf, and its key is kept there.")
    next_step = N_("Ask the helpdesk to look up the key in Jamf.")
    origin = "Graph: `managementAgent` is `jamf`."


class DeviceWithConfigurationManager(DeviceOtherAgent):
    code = "device_configuration_manager"
    sentence = N_("This Mac is managed by Microsoft Configuration Manager, and its key is kept there.")
    next_step = N_("Ask the helpdesk to look up the key in Configuration Manager.")
    origin = "Graph: `managementAgent` begins with `configurationManagerClient`."


class DeviceOwnerUnknown(DeviceRefused):
    code = "device_owner_unknown"
    sentence = N_("This Mac is not recorded as belonging to your organisation.")
    next_step = N_("If it does belong to your organisation, ask the helpdesk to mark it as company-owned.")
    origin = "Graph: `managedDeviceOwnerType` is neither `company` nor `personal`."


class DeviceNotManaged(DeviceRefused):
    code = "device_not_managed"
    sentence = N_("This Mac is not fully managed by your organisation at the moment.")
    next_step = N_("Ask the helpdesk to check how it is managed.")
    origin = (
        "Graph: `managementState` or `managementAgent` is missing, `unknown`, or a value that the broker does not know."
    )


class DeviceLeaving(DeviceRefused):
    """Base of all refusals of a device that is leaving the organisation's management."""

    sentence = N_("This Mac is being erased or removed from management.")
    next_step = N_("Contact the helpdesk before you do anything with it.")


class DeviceWiping(DeviceLeaving):
    code = "device_wiping"
    sentence = N_("Your organisation has asked for this Mac to be erased. Its data may be lost.")
    origin = "Graph: `managementState` is `wipePending`, `wipeIssued` or `wipeFailed`."


class DeviceRetiring(DeviceLeaving):
    code = "device_retiring"
    sentence = N_("Your organisation is removing this Mac from management.")
    origin = "Graph: `managementState` is `retirePending`, `retireIssued` or `retireFailed`."


class DeviceDeleting(DeviceLeaving):
    code = "device_deleting"
    sentence = N_("Your organisation is deleting this Mac from its device management.")
    origin = "Graph: `managementState` is `deletePending`."


class DeviceBlocked(DeviceRefused):
    code = "device_blocked"
    sentence = N_("This Mac's key cannot be shown at a kiosk.")
    next_step = N_("Contact the helpdesk and quote the reference.")
    origin = "`[rules] blocked_devices` lists the device."


class KeyNotEscrowed(DeviceRefused):
    code = "key_not_escrowed"
    status = 404
    sentence = N_("Your organisation has no recovery key stored for this Mac.")
    next_step = N_("Contact the helpdesk. They can see whether and how this Mac was encrypted.")
    origin = "Graph has no key, and its data about the device does not explain why."


class KeyEscrowOff(KeyNotEscrowed):
    code = "key_escrow_off"
    sentence = N_("This Mac is encrypted, but it was never set up to send its recovery key to your organisation.")
    next_step = N_("If you wrote down a key when it was encrypted, try that key. If not, contact the helpdesk.")
    who = DEVICES
    origin = "Graph has no key; encryption state: encrypted, `escrowNotEnabled`."


class KeyWithPerson(KeyNotEscrowed):
    code = "key_with_person"
    sentence = N_("Someone (perhaps you) turned on FileVault by hand, so only that person was shown the key.")
    next_step = N_(
        "Look where that key may have been kept: on paper, or in the Passwords app on another Apple device. If you"
        " cannot find it, contact the helpdesk."
    )
    who = YOU
    origin = "Graph has no key; encryption state: `driveEncryptedByUser`."


class EncryptionDeferred(KeyNotEscrowed):
    code = "key_encryption_deferred"
    sentence = N_("Encryption was postponed when the Mac offered it, so there is no key yet.")
    next_step = N_(
        "An unencrypted Mac needs no recovery key: ask the helpdesk to reset your password. The next time the Mac"
        " offers to turn on FileVault, accept."
    )
    origin = "Graph has no key; encryption state: `userDeferredEncryption`."


class EncryptionNotStarted(KeyNotEscrowed):
    code = "key_not_encrypted"
    sentence = N_("As far as your organisation knows, this Mac is not encrypted, so there is no key.")
    next_step = N_("An unencrypted Mac needs no recovery key: ask the helpdesk to reset your password.")
    origin = "Graph has no key; encryption state: `notEncrypted`."


class EncryptionNoPolicy(KeyNotEscrowed):
    code = "key_no_policy"
    sentence = N_("Your organisation does not require this Mac to be encrypted, so it has not stored a key.")
    next_step = N_(
        "If you turned on FileVault yourself, look for the key you were shown. If not, contact the helpdesk."
    )
    who = DEVICES
    origin = "Graph has no key; encryption state: the policy setting is `notAssigned` or `notApplicable`."


class KeyNeverReported(KeyNotEscrowed):
    code = "key_never_reported"
    sentence = N_("This Mac has never checked in with your organisation, so no key can have been stored.")
    next_step = N_(
        "If you can still get into the Mac, connect it to the network and leave it on for an hour. If not, contact the"
        " helpdesk."
    )
    origin = "Graph has no key, and by `lastSyncDateTime` the device has never reported."


class KeyNotReported(KeyNotEscrowed):
    code = "key_not_reported"
    sentence = N_(
        "This Mac has not checked in since it was enrolled or set to encrypt, so your organisation does not have its"
        " key."
    )
    next_step = N_(
        "If you can still get into the Mac, connect it to the network and leave it on for an hour. If not, contact the"
        " helpdesk."
    )
    origin = "Graph has no key, and the device has not reported since it was enrolled or its policy was assigned."


class KeyUnreadable(DeviceRefused):
    code = "key_unreadable"
    status = 502
    sentence = N_("The key stored for this Mac does not look like a recovery key.")
    next_step = N_("Ask the helpdesk to check the stored key.")
    who = DEVICES
    origin = "Graph's answer contains something that is not a recovery key."


class KeyRotated(KioskError):
    code = "key_rotated"
    title = N_("This key may be out of date")
    sentence = N_("A new key was requested after this Mac last checked in, so the stored key may no longer work.")
    next_step = N_("Try it. If the Mac rejects it, ask the helpdesk for the new one.")
    who = HELPDESK
    origin = "A warning with a key: `rotateFileVaultKey` in `deviceActionResults` is later than `lastSyncDateTime`."
