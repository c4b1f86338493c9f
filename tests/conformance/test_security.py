"""Area Security: certificates, security log and signed firmware, by messages."""

import base64

from shared.clock import SYSTEM_CLOCK
from tests.conformance.authority import own_authority, renew_certificate
from tests.conformance.bench import Bench, boot, reset_and_boot, status, timestamp
from tests.conformance.charge_point import ChargePoint
from tests.conformance.keys import (
    hash_data,
    key_pem,
    new_root,
    read_chain,
    station_context,
)
from tests.conformance.site import CPO_NAME

LOG_TO = "https://uploads.example/logs"
FIRMWARE_AT = "https://firmware.example/box-2.0.0.bin"
SIGNATURE = base64.b64encode(bytes(range(64))).decode()
WRONG_SIGNATURE = base64.b64encode(bytes(64)).decode()


async def _tell_event(bench: Bench, station: ChargePoint, kind: str) -> None:
    event = {"type": kind, "timestamp": timestamp(), "techInfo": "from a test"}
    assert await station.call("SecurityEventNotification", event) == {}
    await bench.operator.until_listed("security-events", type=kind, tech_info="from a test")


async def test_tc_074_update_charge_point_certificate(bench: Bench) -> None:
    """Update Charge Point Certificate by request of Central System"""
    root_pem = await own_authority(bench)
    async with bench.booted() as station:
        key, chain_pem = await renew_certificate(bench, station)
        leaf, *rest = read_chain(chain_pem)
        (root,) = read_chain(root_pem)
        leaf.verify_directly_issued_by(root)
        assert [issuer.subject for issuer in rest] in ([], [root.subject])
        assert leaf.public_key() == key.public_key()
        names = {attribute.rfc4514_attribute_name: attribute.value for attribute in leaf.subject}
        assert (names["CN"], names["O"]) == (station.identity, CPO_NAME)
        await bench.operator.configure_station(security_profile=3)
        station.url = bench.parkade.tls_url
        station.tls = station_context(root_pem, own=(chain_pem, key_pem(key)))
        await station.reconnect()
        await boot(station)
        await bench.operator.until_connected(tls=True, security_profile=3)


async def _install(bench: Bench, kind: str) -> None:
    root = new_root(f"Root for {bench.case.number}")
    order = {"certificateType": kind, "certificate": root.pem}
    async with bench.booted() as station:
        assert await bench.operator.call("InstallCertificate", order) == {"status": "Accepted"}
        assert station.received("InstallCertificate") == [order]
        installed = {"status": "Accepted", "certificateHashData": [hash_data(root.pem)]}
        station.answer("GetInstalledCertificateIds", installed, certificateType=kind)
        wish = {"certificateType": kind}
        assert await bench.operator.call("GetInstalledCertificateIds", wish) == installed
        assert station.received("GetInstalledCertificateIds") == [wish]


async def test_tc_075_1_install_manufacturer_root_certificate(bench: Bench) -> None:
    """Install a certificate on the Charge Point - ManufacturerRootCertificate"""
    await _install(bench, "ManufacturerRootCertificate")


async def test_tc_075_2_install_central_system_root_certificate(bench: Bench) -> None:
    """Install a certificate on the Charge Point - CentralSystemRootCertificate"""
    await _install(bench, "CentralSystemRootCertificate")


async def test_tc_076_delete_a_specific_certificate(bench: Bench) -> None:
    """Delete a specific certificate from the Charge Point"""
    kept, doomed = new_root("Kept"), new_root("Doomed")
    hashes = [hash_data(root.pem, "SHA384") for root in (kept, doomed)]
    wish = {"certificateType": "CentralSystemRootCertificate"}
    async with bench.booted() as station:
        told = {"status": "Accepted", "certificateHashData": hashes}
        station.answer("GetInstalledCertificateIds", told)
        answer = await bench.operator.call("GetInstalledCertificateIds", wish)
        order = {"certificateHashData": answer["certificateHashData"][1]}
        assert await bench.operator.call("DeleteCertificate", order) == {"status": "Accepted"}
        (sent,) = station.received("DeleteCertificate")
        assert sent["certificateHashData"] == hash_data(doomed.pem, "SHA384")


async def test_tc_077_invalid_charge_point_certificate(bench: Bench) -> None:
    """Invalid ChargePointCertificate Security Event"""
    await own_authority(bench)
    async with bench.booted() as station:
        station.answer("CertificateSigned", {"status": "Rejected"})
        await renew_certificate(bench, station)
        await _tell_event(bench, station, "InvalidChargePointCertificate")


async def test_tc_078_invalid_central_system_certificate(bench: Bench) -> None:
    """Invalid CentralSystemCertificate Security Event"""
    order = {
        "certificateType": "CentralSystemRootCertificate",
        "certificate": new_root("Not to be trusted").pem,
    }
    async with bench.booted() as station:
        station.answer("InstallCertificate", {"status": "Rejected"})
        assert await bench.operator.call("InstallCertificate", order) == {"status": "Rejected"}
        assert station.received("InstallCertificate") == [order]
        await _tell_event(bench, station, "InvalidCentralSystemCertificate")


async def test_tc_079_get_security_log(bench: Bench) -> None:
    """Get Security Log"""
    taken = {"status": "Accepted", "filename": "security.log"}
    async with bench.booted() as station:
        station.answer("GetLog", taken)
        outcome = await bench.operator.ask(
            "log", type="SecurityLog", location=LOG_TO, request_id=79
        )
        assert (outcome["payload"], outcome["request_id"]) == (taken, 79)
        assert station.received("GetLog") == [
            {"logType": "SecurityLog", "requestId": 79, "log": {"remoteLocation": LOG_TO}}
        ]
        for word in ("Uploading", "Uploaded"):
            told = {"status": word, "requestId": 79}
            assert await station.call("LogStatusNotification", told) == {}
        await bench.operator.until_listed("jobs", kind="log", request_id=79, status="Uploaded")


async def _order_firmware(bench: Bench, station: ChargePoint, *, signature: str) -> int:
    """Order a signed update; return the id of the request, which the server made."""
    now = SYSTEM_CLOCK.now()
    signed_by = new_root("Maker of the firmware").pem
    outcome = await bench.operator.ask(
        "firmware",
        location=FIRMWARE_AT,
        retrieve_at=now.isoformat(),
        install_at=now.isoformat(),
        signing_certificate=signed_by,
        signature=signature,
    )
    assert outcome["payload"] == {"status": "Accepted"}
    (order,) = station.received("SignedUpdateFirmware")
    assert order == {
        "requestId": outcome["request_id"],
        "firmware": {
            "location": FIRMWARE_AT,
            "retrieveDateTime": timestamp(now),
            "installDateTime": timestamp(now),
            "signingCertificate": signed_by,
            "signature": signature,
        },
    }
    request: int = order["requestId"]
    return request


async def _tell_firmware(station: ChargePoint, request: int, *words: str) -> None:
    for word in words:
        told = {"status": word, "requestId": request}
        assert await station.call("SignedFirmwareStatusNotification", told) == {}


async def test_tc_080_secure_firmware_update(bench: Bench) -> None:
    """Secure Firmware Update"""
    async with bench.booted() as station:
        request = await _order_firmware(bench, station, signature=SIGNATURE)
        await _tell_firmware(station, request, "Downloading", "Downloaded", "SignatureVerified")
        await status(station, "Unavailable")
        await _tell_firmware(station, request, "Installing", "InstallRebooting")
        await reset_and_boot(station)
        await _tell_event(bench, station, "FirmwareUpdated")
        await _tell_firmware(station, request, "Installed")
        job = await bench.operator.until_listed("jobs", request_id=request, status="Installed")
        assert (job["kind"], job["location"]) == ("signed_firmware", FIRMWARE_AT)
        assert job["finished_at"] is not None


async def test_tc_081_secure_firmware_update_invalid_signature(bench: Bench) -> None:
    """Secure Firmware Update - Invalid Signature"""
    async with bench.booted() as station:
        request = await _order_firmware(bench, station, signature=WRONG_SIGNATURE)
        await _tell_firmware(station, request, "Downloading", "Downloaded")
        await _tell_event(bench, station, "InvalidFirmwareSignature")
        await _tell_firmware(station, request, "InvalidSignature")
        wanted = {"request_id": request, "status": "InvalidSignature"}
        job = await bench.operator.until_listed("jobs", **wanted)
        assert job["finished_at"] is not None
