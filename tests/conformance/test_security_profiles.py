"""Area Security: who is let in, and with which TLS. Security profiles 1 to 3."""

import ssl
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus

from tests.conditions import eventually
from tests.conformance.authority import own_authority, renew_certificate
from tests.conformance.bench import Bench, boot
from tests.conformance.charge_point import ChargePoint
from tests.conformance.keys import hash_data, key_pem, new_root, station_context
from tests.conformance.running import FQDN
from tests.conformance.site import CPO_NAME, PASSWORD

SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": ec.EllipticCurvePublicKey,
    "ECDHE-ECDSA-AES256-GCM-SHA384": ec.EllipticCurvePublicKey,
    "AES128-GCM-SHA256": rsa.RSAPublicKey,
    "AES256-GCM-SHA384": rsa.RSAPublicKey,
}
"""The four suites that a central system must have, and the key they need (OpenSSL's names)."""


async def _status_of_refusal(station: ChargePoint) -> int:
    """Try to connect, which must be refused before the upgrade; return the HTTP status."""
    with pytest.raises(InvalidStatus) as refused:
        await station.connect()
    return refused.value.response.status_code


async def test_tc_073_update_charge_point_password(bench: Bench) -> None:
    """Update Charge Point Password for HTTP Basic Authentication"""
    async with bench.booted(password=PASSWORD) as station:
        outcome = await bench.operator.ask("password")
        assert (outcome["status"], outcome["in_force"]) == ("Accepted", True)
        new = (await station.called("ChangeConfiguration", key="AuthorizationKey"))["value"]
        assert 16 <= len(bytes.fromhex(new)) <= 20
        station.password = bytes.fromhex(new)
        await station.reconnect()
        await boot(station)
    await _until_refused(bench.station(password=PASSWORD), 401)


async def _until_refused(station: ChargePoint, status: int) -> None:
    """Wait until a connection of this kind is refused: news of the site take a moment."""

    async def is_refused() -> bool:
        try:
            async with station:
                return False
        except InvalidStatus as refusal:
            return refusal.response.status_code == status

    claim = f"connections of this kind are refused with {status}"
    await eventually(is_refused, every_s=0.05, claim=claim)


async def _raise_profile(bench: Bench, station: ChargePoint, profile: int) -> None:
    """Have the station use a higher profile: it takes it, and is told to restart."""
    before = len(station.received("Reset"))
    outcome = await bench.operator.ask("security-profile", profile=profile)
    assert (outcome["status"], outcome["pending"]) == ("Accepted", True)
    await station.called("ChangeConfiguration", key="SecurityProfile", value=str(profile))
    assert station.received("Reset")[before:] == [{"type": "Hard"}]


async def _back(bench: Bench, station: ChargePoint, profile: int, *, lower: ChargePoint) -> None:
    """Come back with a higher profile; from then on a lower one is refused."""
    await station.reconnect()
    await boot(station)
    await bench.operator.until_connected(security_profile=profile)
    await station.disconnect()
    await _until_refused(lower, 403)
    await station.connect()
    await boot(station)


async def test_tc_083_upgrade_security_profile(bench: Bench) -> None:
    """Upgrade Charge Point Security Profile - Accepted"""
    root_pem = await own_authority(bench)
    kind = "CentralSystemRootCertificate"
    async with bench.booted(password=PASSWORD) as station:
        root = {"certificateType": kind, "certificate": root_pem}
        assert await bench.operator.call("InstallCertificate", root) == {"status": "Accepted"}
        assert station.received("InstallCertificate") == [root]
        installed = {"status": "Accepted", "certificateHashData": [hash_data(root_pem)]}
        station.answer("GetInstalledCertificateIds", installed, certificateType=kind)
        await _raise_profile(bench, station, 2)
        station.url, station.tls = bench.parkade.tls_url, station_context(root_pem)
        await _back(bench, station, 2, lower=bench.station(password=PASSWORD))
        lower = bench.station(url=station.url, tls=station.tls, password=PASSWORD)
        key, chain_pem = await renew_certificate(bench, station)
        await _raise_profile(bench, station, 3)
        station.password = None
        station.tls = station_context(root_pem, own=(chain_pem, key_pem(key)))
        await _back(bench, station, 3, lower=lower)


async def test_tc_085_basic_authentication(bench: Bench) -> None:
    """Basic Authentication - Valid username/password combination"""
    assert await _status_of_refusal(bench.station()) == 401
    assert await _status_of_refusal(bench.station(password="another-password")) == 401
    async with bench.booted(password=PASSWORD):
        await bench.operator.until_connected(tls=False, security_profile=1)


async def _no_tls(bench: Bench, station: ChargePoint, why: str) -> None:
    """Try to connect, which TLS itself must refuse; the operator is told why."""
    with pytest.raises((OSError, InvalidMessage)):
        await station.connect()
    await bench.operator.until_refused_by_tls(why)


def _check_endpoint_certificate(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    assert key.key_size >= (2048 if isinstance(key, rsa.RSAPublicKey) else 224)
    assert certificate.serial_number > 0
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == FQDN


def _old_context() -> ssl.SSLContext:
    """Return the TLS context of a station that knows TLS 1.1 at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def test_tc_086_tls_server_side_certificate(bench: Bench) -> None:
    """TLS - server-side certificate - Valid certificate"""
    root_pem = await own_authority(bench)
    tls = {"url": bench.parkade.tls_url, "password": PASSWORD}
    async with bench.booted(**tls, tls=station_context(root_pem)) as station:
        assert station.tls_version == "TLSv1.3"
    for suite, key_type in SUITES.items():
        context = station_context(root_pem, suite=suite)
        async with bench.booted(**tls, tls=context) as station:
            assert (station.tls_version, station.tls_suite) == ("TLSv1.2", suite)
            shown = station.shown_certificate
            _check_endpoint_certificate(shown)
            assert isinstance(shown.public_key(), key_type)
    await _no_tls(bench, bench.station(**tls, tls=_old_context()), "unsupported protocol")
    assert await _status_of_refusal(bench.station(url=tls["url"], tls=context)) == 401


async def _trust(bench: Bench, root_pem: str) -> None:
    body = {"use": "station_trust", "certificate": root_pem, "name": "Maker of the boxes"}
    await bench.operator.post("certificates", body)


async def test_tc_087_tls_client_side_certificate(bench: Bench) -> None:
    """TLS - Client-side certificate - valid certificate"""
    server_root = await own_authority(bench)
    maker, stranger = new_root("Maker"), new_root("Stranger")
    await _trust(bench, maker.pem)
    await bench.operator.configure_station(security_profile=3)

    def showing(own: tuple[str, str] | None, suite: str | None = None) -> ChargePoint:
        context = station_context(server_root, own=own, suite=suite)
        return bench.station(url=bench.parkade.tls_url, tls=context)

    own = maker.issue(bench.operator.station_id, CPO_NAME)

    async def is_let_in() -> bool:  # the port takes up what it trusts, a moment later
        try:
            async with showing(own):
                return True
        except (OSError, InvalidHandshake):
            return False

    await eventually(is_let_in, every_s=0.2, claim="the maker's certificates are trusted")
    for suite in (None, *SUITES):
        async with showing(own, suite) as station:
            await boot(station)
    me = bench.operator.station_id
    assert await _status_of_refusal(showing(None)) == 403
    assert await _status_of_refusal(showing(maker.issue("ANOTHER-STATION", CPO_NAME))) == 403
    assert await _status_of_refusal(showing(maker.issue(me, "Another Operator"))) == 403
    assert await _status_of_refusal(bench.station()) == 403
    await _no_tls(bench, showing(stranger.issue(me, CPO_NAME)), "certificate verify failed")


async def test_tc_088_websocket_subprotocol_negotiation(bench: Bench) -> None:
    """WebSocket Subprotocol negotiation"""
    refusal = await _status_of_refusal(bench.station(subprotocols=("ocpp0.1",)))
    assert 400 <= refusal < 500
    for offered in (("ocpp0.1", "ocpp1.6"), ("ocpp1.6", "ocpp0.1"), ("ocpp1.6",)):
        async with bench.booted(subprotocols=offered) as station:
            assert station.subprotocol == "ocpp1.6"
