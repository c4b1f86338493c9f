"""Signed readings as a calibrated meter makes them: OCMF, signed by a key of the meter (S14)."""

import json
from base64 import b64encode
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class SigningMeter:
    """Signs readings with a key of its own (ECDSA on secp256r1, SHA-256)."""

    def __init__(self, serial: str = "SIM0001") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._serial = serial
        self._pagination = 0

    @property
    def public_key(self) -> str:
        """The public key as DER in hex, as stations print it."""
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return der.hex().upper()

    def reading(self, context: str, energy_wh: float, *, at: datetime, token: str) -> str:
        """Return one OCMF record; ``context`` is B (begin) or E (end)."""
        self._pagination += 1
        body: dict[str, Any] = {
            "FV": "1.0",
            "GI": "Parkade simulation",
            "MS": self._serial,
            "PG": f"T{self._pagination}",
            "IS": True,
            "IT": "ISO14443",
            "ID": token,
            "RD": [
                {
                    "TM": at.strftime("%Y-%m-%dT%H:%M:%S,%f")[:-3] + "+0000 S",
                    "TX": context,
                    "RV": round(energy_wh / 1000, 3),
                    "RI": "1-b:1.8.0",
                    "RU": "kWh",
                    "ST": "G",
                }
            ],
        }
        text = json.dumps(body, separators=(",", ":"))
        signature = self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        seal = json.dumps({"SA": "ECDSA-secp256r1-SHA256", "SD": signature.hex().upper()})
        return f"OCMF|{text}|{seal}"

    def signed_value(self, record: str) -> str:
        """Wrap a record as SignedMeterValueType (OCA, Signed Meter Values in OCPP, chapter 3)."""
        return json.dumps(
            {
                "signedMeterData": b64encode(record.encode()).decode(),
                "signingMethod": "",
                "encodingMethod": "OCMF",
                "publicKey": b64encode(f"oca:base16:asn1:{self.public_key}".encode()).decode(),
            }
        )
