"""The operator's own certificate authority, and the certificates of the TLS endpoint (S19, S22)."""

import asyncio
import ssl
from typing import Any

from cryptography import x509

from tests.conditions import eventually
from tests.conformance.bench import Bench
from tests.conformance.charge_point import ChargePoint
from tests.conformance.keys import PrivateKey, new_key, read_chain, signing_request
from tests.conformance.running import FQDN
from tests.conformance.site import CPO_NAME


async def own_authority(bench: Bench) -> str:
    """Have an authority and server certificates of it, made on the first call; return its PEM.

    Returns once the port shows one of them.
    """
    known = await bench.operator.get("certificates")
    roots = [one for one in known if one["use"] == "authority"]
    if not roots:
        roots = await _make(bench, "authority", {"common_name": "Garage Root"})
        await _make(bench, "server", {"names": [FQDN]})
    pem = await bench.operator.get_text(f"certificates/{roots[0]['id']}.pem")
    (root,) = read_chain(pem)

    async def is_shown() -> bool:
        return (await shown_certificate(bench)).issuer == root.subject

    await eventually(is_shown, every_s=0.1, claim="the port shows a certificate of the authority")
    return pem


async def _make(bench: Bench, what: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = (await bench.operator.post(f"certificates/{what}", body))[
        "certificates"
    ]
    return made


async def renew_certificate(bench: Bench, station: ChargePoint) -> tuple[PrivateKey, str]:
    """Have the station ask for a new certificate; return its key and the chain it is sent."""
    wish = {"requestedMessage": "SignChargePointCertificate"}
    station.answer("ExtendedTriggerMessage", {"status": "Accepted"}, **wish)
    outcome = await bench.operator.ask("client-certificate")
    assert outcome["payload"] == {"status": "Accepted"}, outcome
    sent = station.received("ExtendedTriggerMessage")
    assert sent == [wish], sent
    key = new_key()
    request = signing_request(key, station.identity, CPO_NAME)
    answer = await station.call("SignCertificate", {"csr": request})
    assert answer == {"status": "Accepted"}, answer
    handed_over = await station.called("CertificateSigned")
    return key, handed_over["certificateChain"]


async def shown_certificate(bench: Bench) -> x509.Certificate:
    """Return what the port shows to a client of today."""
    address = ("127.0.0.1", bench.parkade.ocpp_port)
    pem = await asyncio.to_thread(ssl.get_server_certificate, address, timeout=10)
    return read_chain(pem)[0]
