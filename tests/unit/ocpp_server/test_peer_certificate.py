"""What is read of a client certificate; real ones are in test_openssl_certificates."""

import hashlib
from typing import Any

import pytest

from ocpp_server.peer_certificate import certificate_fields


class Shown:
    """A TLS connection whose client showed this."""

    def __init__(self, *subject: tuple[str, str], der: bytes | None = b"der") -> None:
        self._subject = tuple((pair,) for pair in subject)
        self._der = der

    def get_extra_info(self, name: str) -> Any:
        return self if name == "ssl_object" else None

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._der if binary_form else {"subject": self._subject}


class Odd(Shown):
    """One whose extensions cannot be read."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        if not binary_form:
            raise ValueError("odd extension")
        return self._der


def fields(transport: Any) -> dict[str, Any]:
    return dict(certificate_fields(transport))


def test_names_organisations_and_fingerprint_are_read() -> None:
    shown = Shown(
        ("commonName", "BOX-1"),
        ("serialNumber", "SN-4711"),
        ("organizationName", "Tiefgarage Köln GmbH"),
        ("organizationName", "Maker"),
    )
    assert fields(shown) == {
        "certificate_name": "BOX-1",
        "certificate_serial_name": "SN-4711",
        "certificate_organisation": "Tiefgarage Köln GmbH, Maker",
        "certificate_fingerprint": hashlib.sha256(b"der").hexdigest(),
    }


def test_a_name_given_twice_names_nobody() -> None:
    shown = fields(Shown(("commonName", "BOX-1"), ("commonName", "BOX-2")))
    assert shown["certificate_name"] is None
    assert shown["certificate_organisation"] is None


def test_the_fingerprint_counts_where_nothing_else_can_be_read() -> None:
    shown = fields(Odd())
    assert shown["certificate_name"] is None
    assert shown["certificate_fingerprint"] == hashlib.sha256(b"der").hexdigest()


class Plain:
    """A connection without TLS."""

    def get_extra_info(self, _name: str) -> None:
        return None


@pytest.mark.parametrize("transport", [None, Plain(), Shown(der=None)])
def test_without_a_certificate_there_is_nothing(transport: Any) -> None:
    assert fields(transport) == {}
