"""The certificates that a port has from the start (S18), and an own one in files (S19)."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.clock import FakeClock
from shared.contracts.certificate import KeyPair
from shared.errors import ConfigError
from shared.server_certificate import VALID_FOR, ensure_server_certificates

NOW = FakeClock().now()


def certificate_of(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate_pem.encode())


def test_the_first_start_makes_one_of_each_key_type(tmp_path: Path) -> None:
    of_rsa, of_ec = map(certificate_of, ensure_server_certificates(tmp_path / "tls", now=NOW))
    assert isinstance(of_rsa.public_key(), rsa.RSAPublicKey)
    assert of_rsa.public_key().key_size == 2048
    assert isinstance(of_ec.public_key(), ec.EllipticCurvePublicKey)
    for made in (of_rsa, of_ec):
        assert made.not_valid_before_utc < NOW < made.not_valid_after_utc == NOW + VALID_FOR
        assert made.serial_number


def test_later_starts_keep_them_and_nobody_else_reads_them(tmp_path: Path) -> None:
    first = ensure_server_certificates(tmp_path, now=NOW)
    assert ensure_server_certificates(tmp_path, now=NOW) == first
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert files == {"server.pem": 0o600, "server-ec.pem": 0o600}


def test_a_pair_of_an_earlier_version_stays_and_gets_company(tmp_path: Path) -> None:
    earlier = ensure_server_certificates(tmp_path, now=NOW)
    (tmp_path / "server-ec.pem").unlink()
    later = ensure_server_certificates(tmp_path, now=NOW)
    assert later[0] == earlier[0]
    assert later[1] != earlier[1]


def test_an_own_certificate_stands_alone(tmp_path: Path) -> None:
    own = ensure_server_certificates(tmp_path / "elsewhere", now=NOW)[1]
    (tmp_path / "server.crt").write_text(f"subject=O = Köln\n{own.certificate_pem}")
    (tmp_path / "server.key").write_text(f"comment\n{own.key_pem}")
    (found,) = ensure_server_certificates(tmp_path, now=NOW)
    assert certificate_of(found) == certificate_of(own)
    assert found.key_pem == own.key_pem
    assert not (tmp_path / "server.pem").exists()


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file, not a folder")
    with pytest.raises(ConfigError, match="PARKADE_DATA_DIR"):
        ensure_server_certificates(tmp_path / "tls", now=NOW)
