"""Certificates made by OpenSSL go in (S19, S21, S22); what cannot work is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api.authority import KeyType, Pair, Purpose, Wish, issue, make_request, make_root, sign_station
from api.domain.certificate_alarms import alarms
from api.domain.certificate_chain import Use
from api.domain.certificate_service import (
    answer_of,
    evses_showing,
    ids_in_service,
    shown_to_stations,
    signing_authority,
)
from api.domain.certificates import (
    CertificateRecord,
    State,
    completed,
    days_left,
    describe,
    free_id,
    imported,
    record_of,
    wished_id,
)
from api.domain.pem import (
    UnusableCertificate,
    certificates_pem,
    check_public_key,
    key_pem,
    key_type,
    read_certificates,
    read_key,
    request_pem,
)
from api.domain.problem import Severity as ProblemSeverity
from api.domain.signing_request import LONGEST_REQUEST, check_station_request
from api.domain.site_rules import problems
from shared.contracts.alarm import Severity
from shared.contracts.site import SiteConfig, Station
from tests.openssl import ORGANISATION, Files, OpensslRoot, openssl, request_of, self_signed

NOW = datetime.now(UTC) + timedelta(hours=1)
"""OpenSSL makes certificates that are valid from this second on."""
PASSPHRASE = "Schlüssel & Co"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openssl")


@pytest.fixture(scope="module")
def root(folder: Path) -> OpensslRoot:
    return OpensslRoot(folder, PASSPHRASE, "Köln Root")


@pytest.fixture(scope="module")
def root_files(root: OpensslRoot) -> Files:
    return root.make()


@pytest.fixture(scope="module")
def signed(root: OpensslRoot, root_files: Files) -> Files:
    return root.pair("ladeserver", names="DNS:*.garage.example,DNS:garage.example,IP:10.0.0.1")


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_root("Own Root", ORGANISATION, key_type=KeyType.EC, days=3650, now=NOW)


def take_in(
    use: Use,
    files: Files,
    *,
    passphrase: str | None = None,
    name: str = "",
    now: datetime = NOW,
) -> CertificateRecord:
    records = imported(
        use, files.certificate, key=files.key, passphrase=passphrase, name=name, now=now
    )
    assert len(records) == 1
    return records[0]


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Return field and message of the refusal that a call ends in."""
    with pytest.raises(UnusableCertificate) as caught:
        call()
    return caught.value.field, str(caught.value)


# What comes in


def test_a_self_signed_server_certificate_with_umlauts_is_taken_in(folder: Path) -> None:
    record = take_in(Use.SERVER, self_signed(folder, "garage"))
    shown = describe(record.certificate_pem or "")
    assert shown.subject == f"CN=garage,O={ORGANISATION},C=DE"
    assert (shown.key_type, shown.common_name, shown.chain_length) == ("RSA 2048", "garage", 1)
    assert (record.name, record.id) == ("garage", "garage")
    assert record.state(NOW) is State.VALID
    assert days_left(record, NOW) == 29


def test_a_certificate_of_a_root_keeps_its_wildcards_and_its_chain_in_any_order(
    signed: Files, root_files: Files, folder: Path
) -> None:
    stranger = self_signed(folder, "stranger")
    text = root_files.certificate + stranger.certificate + signed.certificate
    record = take_in(Use.SERVER, Files(text, signed.key))
    assert record.certificate_pem == signed.certificate + root_files.certificate
    shown = describe(record.certificate_pem)
    assert shown.names == ("*.garage.example", "garage.example", "10.0.0.1")
    assert "Köln Root" in shown.issuer
    assert not shown.is_authority


def test_the_protected_root_of_4096_bits_becomes_the_own_authority(root_files: Files) -> None:
    record = take_in(Use.AUTHORITY, root_files, passphrase=PASSPHRASE, name="Wurzel Köln")
    assert describe(record.certificate_pem or "").key_type == "RSA 4096"
    assert record.id == "wurzel-koln"
    assert (record.key_pem or "").startswith("-----BEGIN PRIVATE KEY-----")
    assert record.key_pem not in repr(record)


def _protected_the_old_way(folder: Path, key: str) -> str:
    (folder / "plain.key").write_text(key)
    words = ("rsa", "-in", "plain.key", "-aes128", "-passout", "pass:old", "-traditional")
    return openssl(folder, *words)


def test_a_key_protected_the_old_way_is_opened(folder: Path, signed: Files) -> None:
    key = _protected_the_old_way(folder, signed.key)
    assert "Proc-Type: 4,ENCRYPTED" in key
    record = take_in(Use.SERVER, Files(signed.certificate, key), passphrase="old")
    assert read_key(record.key_pem or "", None) is not None


def test_an_ec_key_with_its_parameters_before_it_is_read(folder: Path) -> None:
    key = openssl(folder, "ecparam", "-genkey", "-name", "secp384r1")
    assert key.startswith("-----BEGIN EC PARAMETERS-----")
    assert key_type(read_key(key, None).public_key()) == "EC secp384r1"


def test_certificate_and_key_may_be_in_one_text(signed: Files) -> None:
    both = "\ufeffBag Attributes\r\n" + (signed.key + signed.certificate).replace("\n", "\r\n")
    [record] = imported(Use.SERVER, both, key=None, passphrase=None, name="x", now=NOW)
    assert record.certificate_pem == signed.certificate


def test_a_passphrase_that_is_not_needed_does_no_harm(signed: Files) -> None:
    assert take_in(Use.SERVER, signed, passphrase="none needed").key_pem


def test_each_trusted_certificate_of_a_bundle_is_kept_on_its_own(
    signed: Files, root_files: Files
) -> None:
    bundle = signed.certificate + root_files.certificate
    records = imported(Use.STATION_TRUST, bundle, key=None, passphrase=None, name="", now=NOW)
    assert [record.name for record in records] == ["ladeserver", "Köln Root"]
    assert all(record.key_pem is None for record in records)


def test_the_fingerprint_is_the_one_that_openssl_shows(folder: Path, signed: Files) -> None:
    (folder / "shown.crt").write_text(signed.certificate)
    words = ("x509", "-in", "shown.crt", "-noout", "-fingerprint", "-sha256")
    shown = openssl(folder, *words).strip().partition("=")[2].replace(":", "").lower()
    assert take_in(Use.SERVER, signed).fingerprint == shown


# What does not


def test_a_wrong_passphrase_is_told_from_a_missing_one(root_files: Files) -> None:
    wrong = refusal(lambda: take_in(Use.AUTHORITY, root_files, passphrase="wrong"))
    missing = refusal(lambda: take_in(Use.AUTHORITY, root_files))
    assert wrong == ("passphrase", "the passphrase does not open the key")
    assert missing[0] == "passphrase"
    assert "send its passphrase" in missing[1]


def test_a_wrong_passphrase_of_the_old_form_is_named_too(folder: Path, signed: Files) -> None:
    files = Files(signed.certificate, _protected_the_old_way(folder, signed.key))
    field, message = refusal(lambda: take_in(Use.SERVER, files, passphrase="new"))
    assert (field, "does not open" in message) == ("passphrase", True)


def test_a_key_of_another_certificate_is_refused(folder: Path, signed: Files) -> None:
    other = self_signed(folder, "other")
    field, message = refusal(lambda: take_in(Use.SERVER, Files(signed.certificate, other.key)))
    assert field == "key"
    assert "does not fit" in message
    assert "ladeserver" in message


def test_an_expired_certificate_is_refused_with_its_date(signed: Files) -> None:
    ends = read_certificates(signed.certificate)[0].not_valid_after_utc
    _, message = refusal(lambda: take_in(Use.SERVER, signed, now=ends + timedelta(seconds=1)))
    assert f"expired on {ends:%Y-%m-%d %H:%M}" in message


def test_a_certificate_of_tomorrow_is_refused(signed: Files) -> None:
    _, message = refusal(lambda: take_in(Use.SERVER, signed, now=NOW - timedelta(days=2)))
    assert "clock" in message


@pytest.mark.parametrize(
    "text", ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_pem_is_refused(text: str) -> None:
    field, message = refusal(lambda: read_certificates(text))
    assert (field, "no readable PEM certificate" in message) == ("certificate", True)


@pytest.mark.parametrize(
    ("key", "claim"),
    [
        ("nothing", "no PEM private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (
            ed25519.Ed25519PrivateKey.generate()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode(),
            "neither RSA nor EC",
        ),
        ("x" * 300_000, "longer"),
    ],
)
def test_what_is_no_usable_key_is_refused(key: str, claim: str) -> None:
    field, message = refusal(lambda: read_key(key, None))
    assert (field, claim in message) == ("key", True)


def test_a_server_certificate_without_its_key_is_refused(signed: Files) -> None:
    field, message = refusal(
        lambda: imported(
            Use.SERVER, signed.certificate, key=None, passphrase=None, name="", now=NOW
        )
    )
    assert (field, "needs its private key" in message) == ("key", True)


def test_the_key_of_a_trusted_certificate_is_not_wanted(signed: Files) -> None:
    field, message = refusal(lambda: take_in(Use.STATION_TRUST, signed))
    assert (field, "stays with its owner" in message) == ("key", True)


def test_what_cannot_sign_is_no_authority(signed: Files) -> None:
    _, message = refusal(lambda: take_in(Use.AUTHORITY, signed))
    assert "CA:TRUE" in message


def test_a_client_certificate_is_not_for_the_server(authority: Pair) -> None:
    wish = Wish(common_name="c", purpose=Purpose.CLIENT, days=9)
    pair = issue(authority, wish, key_type=KeyType.EC, now=NOW)
    files = Files(certificates_pem(pair.chain), key_pem(pair.key))
    _, message = refusal(lambda: take_in(Use.SERVER, files))
    assert "lacks serverAuth" in message
    assert take_in(Use.CLIENT, files).use is Use.CLIENT


def test_a_certificate_for_any_purpose_is_one_for_this_purpose(folder: Path) -> None:
    openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=any", "-days", "9"),
        *("-addext", "extendedKeyUsage=anyExtendedKeyUsage"),
        *("-keyout", "any.key", "-out", "any.crt"),
    )
    files = Files((folder / "any.crt").read_text(), (folder / "any.key").read_text())
    assert take_in(Use.SERVER, files).use is Use.SERVER


def test_keys_are_as_long_as_ocpp_asks(folder: Path) -> None:
    short = self_signed(folder, "short", key="rsa:1024")
    _, message = refusal(lambda: read_certificates(short.certificate))
    assert "1024 bits" in message
    assert "2048" in message
    small = ec.generate_private_key(ec.SECP192R1()).public_key()
    _, message = refusal(lambda: check_public_key(small, of="key"))
    assert "192 bits" in message
    least = ec.generate_private_key(ec.SECP224R1()).public_key()
    assert check_public_key(least, of="key") is least
    _, message = refusal(lambda: check_public_key(object(), of="it"))
    assert "neither RSA nor EC" in message
    assert key_type(object()) == "unknown"


def test_a_signature_of_old_times_is_refused(folder: Path) -> None:
    openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Old", "-days", "9"),
        *("-sha1", "-keyout", "old.key", "-out", "old.crt"),
    )
    openssl(folder, "req", "-new", "-key", "old.key", "-subj", "/CN=leaf", "-out", "old.csr")
    leaf = openssl(
        folder,
        *("x509", "-req", "-in", "old.csr", "-CA", "old.crt", "-CAkey", "old.key"),
        *("-CAcreateserial", "-sha1", "-days", "9"),
    )
    old_root = Files((folder / "old.crt").read_text(), (folder / "old.key").read_text())
    assert take_in(Use.AUTHORITY, old_root).name == "Old"
    _, message = refusal(lambda: take_in(Use.SERVER, Files(leaf, old_root.key)))
    assert "signed with sha1" in message


# Requests of our own


def test_a_request_is_completed_by_openssls_signature(root: OpensslRoot, root_files: Files) -> None:
    wish = Wish(
        common_name="csms.garage.example",
        organisation=ORGANISATION,
        names=("csms.garage.example", "*.ladesäule.example"),
        purpose=Purpose.SERVER,
        days=1,
    )
    request, key = make_request(wish, key_type=KeyType.RSA)
    waiting = CertificateRecord(
        id="csms",
        use=Use.SERVER,
        name="csms",
        certificate_pem=None,
        key_pem=key_pem(key),
        request_pem=request_pem(request),
        created_at=NOW,
    )
    assert (waiting.state(NOW), days_left(waiting, NOW)) == (State.REQUESTED, None)
    certificate = root.sign(request_pem(request), names="DNS:csms.garage.example")
    done = completed(waiting, certificate + root_files.certificate, now=NOW)
    assert (done.id, done.name, done.request_pem) == ("csms", "csms", None)
    assert done.key_pem == waiting.key_pem
    assert describe(done.certificate_pem or "").chain_length == 2
    field, _ = refusal(lambda: completed(waiting, root_files.certificate, now=NOW))
    assert field == "key"
    keyless = replace(waiting, key_pem=None)
    assert "no key" in refusal(lambda: completed(keyless, certificate, now=NOW))[1]


def test_openssl_reads_our_request(folder: Path) -> None:
    wish = Wish(
        common_name="Säule 1",
        organisation=ORGANISATION,
        names=("*.ladesäule.example", "::1"),
        purpose=Purpose.CLIENT,
        days=1,
    )
    request, _ = make_request(wish, key_type=KeyType.EC)
    (folder / "ours.csr").write_text(request_pem(request))
    words = ("-noout", "-verify", "-text", "-nameopt", "utf8", "-in", "ours.csr")
    shown = openssl(folder, "req", *words)
    assert "Säule 1" in shown
    assert ORGANISATION in shown
    assert "DNS:*.xn--ladesule-4za.example" in shown
    assert "IP Address:0:0:0:0:0:0:0:1" in shown


# The own authority


def test_openssl_verifies_what_the_own_authority_signs(folder: Path, authority: Pair) -> None:
    wish = Wish(
        common_name="csms",
        organisation=ORGANISATION,
        names=("*.garage.example", "10.0.0.1"),
        purpose=Purpose.SERVER,
        days=30,
    )
    pair = issue(authority, wish, key_type=KeyType.RSA, now=NOW)
    (folder / "own-root.crt").write_text(certificates_pem(authority.chain))
    (folder / "own.crt").write_text(certificates_pem(pair.chain[:1]))
    verify = ("verify", "-x509_strict", "-CAfile", "own-root.crt")
    names = ("-verify_hostname", "csms.garage.example")
    assert "OK" in openssl(folder, *verify, "-purpose", "sslserver", *names, "own.crt")
    assert "OK" in openssl(folder, *verify, "-verify_ip", "10.0.0.1", "own.crt")
    with pytest.raises(AssertionError, match="purpose"):
        openssl(folder, *verify, "-purpose", "sslclient", "own.crt")


def test_a_leaf_cannot_sign_and_a_root_only_signs(authority: Pair) -> None:
    wish = Wish(common_name="c", purpose=Purpose.CLIENT, days=9)
    leaf = issue(authority, wish, key_type=KeyType.RSA, now=NOW).chain[0]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment) == (True, True)
    assert not usage.value.key_cert_sign
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    root_usage = authority.chain[0].extensions.get_extension_for_class(x509.KeyUsage).value
    assert (root_usage.key_cert_sign, root_usage.digital_signature) == (True, False)


def test_serial_numbers_are_random_and_long(authority: Pair) -> None:
    wish = Wish(common_name="c", purpose=Purpose.CLIENT, days=9)
    made = [issue(authority, wish, key_type=KeyType.EC, now=NOW).chain[0] for _ in range(20)]
    serials = {certificate.serial_number for certificate in made}
    assert len(serials) == 20
    assert min(serial.bit_length() for serial in serials) > 96


def test_a_certificate_ends_with_its_authority(authority: Pair) -> None:
    wish = Wish(common_name="c", purpose=Purpose.CLIENT, days=36_500)
    leaf = issue(authority, wish, key_type=KeyType.EC, now=NOW).chain[0]
    assert leaf.not_valid_after_utc == authority.chain[0].not_valid_after_utc


def test_an_imported_root_without_key_identifier_signs_as_well(folder: Path) -> None:
    openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bare", "-days", "9"),
        *("-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none"),
        *("-keyout", "bare.key", "-out", "bare.crt"),
    )
    [bare] = read_certificates((folder / "bare.crt").read_text())
    key = read_key((folder / "bare.key").read_text(), None)
    wish = Wish(common_name="c", purpose=Purpose.CLIENT, days=1)
    leaf = issue(Pair((bare,), key), wish, key_type=KeyType.EC, now=NOW).chain[0]
    leaf.verify_directly_issued_by(bare)


@pytest.mark.parametrize(
    "name",
    ["", "wss://garage.example", "a b", "*", "*.com.", "-a.example", "a..b", "1.2.3.4.5", "x" * 64],
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    wish = Wish(common_name="c", names=(name,), purpose=Purpose.SERVER, days=1)
    field, message = refusal(lambda: make_request(wish, key_type=KeyType.EC))
    assert (field, repr(name) in message) == ("names", True)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("garage.example.", x509.DNSName("garage.example")),
        ("localhost", x509.DNSName("localhost")),
        ("*.Köln.example", x509.DNSName("*.xn--kln-sna.example")),
        (" 10.0.0.1 ", x509.IPAddress(ip_address("10.0.0.1"))),
        ("[fd00::1]", x509.IPAddress(ip_address("fd00::1"))),
    ],
)
def test_host_names_are_written_as_tls_compares_them(name: str, written: x509.GeneralName) -> None:
    wish = Wish(common_name="c", names=(name,), purpose=Purpose.SERVER, days=1)
    request, _ = make_request(wish, key_type=KeyType.EC)
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [written]


def test_a_name_longer_than_x520_allows_is_refused() -> None:
    wish = Wish(common_name="c" * 65, purpose=Purpose.SERVER, days=1)
    assert refusal(lambda: make_request(wish, key_type=KeyType.EC))[0] == "common_name"


# Signing for stations

STATION = Station(id="Box-1", protocol="ocpp", certificate_name="SN0815")


def request_with(key: object, *names: str) -> str:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return request_pem(builder.sign(key, hashes.SHA256()))  # type: ignore[arg-type]


EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("algorithm", ["RSA", "EC"])
def test_a_stations_request_is_signed_for_clients_only(
    folder: Path, authority: Pair, algorithm: str
) -> None:
    request = check_station_request(request_of(folder, "SN0815", algorithm=algorithm), STATION)
    chain = sign_station(authority, request, organisation="CPO Köln", days=730, now=NOW)
    leaf, issuer = chain
    assert issuer == authority.chain[0]
    leaf.verify_directly_issued_by(issuer)
    assert leaf.subject.rfc4514_string() == "O=CPO Köln,CN=SN0815"
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.not_valid_after_utc == (NOW + timedelta(days=730)).replace(microsecond=0)


def test_without_an_operators_name_the_station_keeps_the_one_it_wrote(
    folder: Path, authority: Pair
) -> None:
    request = check_station_request(request_of(folder, "SN0815"), STATION)
    leaf = sign_station(authority, request, organisation="", days=1, now=NOW)[0]
    assert leaf.subject.rfc4514_string() == f"O={ORGANISATION},CN=SN0815"


def test_extensions_that_a_station_asks_for_are_not_granted(authority: Pair) -> None:
    request = check_station_request(request_with(EC_KEY, "SN0815"), STATION)
    leaf = sign_station(authority, request, organisation="", days=1, now=NOW)[0]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_name_is_the_id_where_no_other_is_configured() -> None:
    plain = Station(id="Box-1", protocol="ocpp")
    request = check_station_request(request_with(EC_KEY, "BOX-1"), plain)
    assert request.common_name == "BOX-1"


def tampered(request: str) -> str:
    """Return the request with a signature that is another's."""
    one = x509.load_pem_x509_csr(request.encode())
    content = bytearray(one.public_bytes(serialization.Encoding.DER))
    place = bytes(content).index(b"SN0815")
    content[place : place + 6] = b"SN0816"
    return request_pem(x509.load_der_x509_csr(bytes(content)))


WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)


@pytest.mark.parametrize(
    ("request_text", "claim"),
    [
        (request_with(EC_KEY, "Box-1"), "set its certificate_name to 'Box-1'"),
        (request_with(EC_KEY), "one common name"),
        (request_with(EC_KEY, "SN0815", "SN0816"), "one common name"),
        (request_with(WEAK, "SN0815"), "1024 bits"),
        (tampered(request_with(EC_KEY, "SN0815")), "proves no possession"),
        ("no request", "no readable PEM signing request"),
        ("x" * (LONGEST_REQUEST + 1), "characters"),
    ],
)
def test_a_request_that_may_not_be_signed_is_refused(request_text: str, claim: str) -> None:
    assert claim in refusal(lambda: check_station_request(request_text, STATION))[1]


# What is in service


def kept(
    use: Use,
    authority: Pair,
    name: str,
    *,
    key: KeyType = KeyType.EC,
    days: int = 365,
    age_days: int = 0,
) -> CertificateRecord:
    created = NOW - timedelta(days=age_days)
    purpose = Purpose.SERVER if use is Use.SERVER else Purpose.CLIENT
    pair = issue(
        authority, Wish(common_name=name, purpose=purpose, days=days), key_type=key, now=created
    )
    return record_of(use, pair.chain, key=key_pem(pair.key), now=created)


def own(authority: Pair, *, name: str = "own", at: datetime = NOW) -> CertificateRecord:
    return record_of(Use.AUTHORITY, authority.chain, name=name, key=key_pem(authority.key), now=at)


def site_showing(certificate: str | None) -> SiteConfig:
    backend = {
        "url": "wss://b.example/",
        "client_id": "G",
        "client_certificate": certificate,
    }
    return SiteConfig.model_validate(
        {
            "circuits": [{"id": "main", "limit_a": 32}],
            "stations": [{"id": "b", "protocol": "ocpp"}],
            "evses": [{"id": "bay", "station": "b", "circuit": "main", "backend": backend}],
        }
    )


def test_of_each_key_type_the_newest_valid_server_certificate_is_shown(authority: Pair) -> None:
    records = [
        kept(Use.SERVER, authority, "old-ec", age_days=9),
        kept(Use.SERVER, authority, "new-ec", age_days=2),
        kept(Use.SERVER, authority, "ended-ec", days=1, age_days=1),
        kept(Use.SERVER, authority, "only-rsa", key=KeyType.RSA, days=1, age_days=5),
    ]
    later = NOW + timedelta(hours=1)
    shown = [record.id for record in shown_to_stations(records, later)]
    assert shown == ["only-rsa", "new-ec"], "an expired one is better than none of its kind"


def test_the_answer_holds_keys_and_trusts_the_own_root_and_no_open_request(
    authority: Pair,
) -> None:
    server = kept(Use.SERVER, authority, "server")
    client = kept(Use.CLIENT, authority, "client")
    waiting = replace(client, id="waiting", certificate_pem=None)
    station = replace(kept(Use.STATION_TRUST, authority, "station"), key_pem=None)
    root = own(authority)
    answer = answer_of([server, client, waiting, station, root], 7, now=NOW)
    assert answer.revision == 7
    assert [(p.certificate_id, p.key_pem) for p in answer.server] == [("server", server.key_pem)]
    assert [pair.certificate_id for pair in answer.client] == ["client"]
    assert answer.station_trust == (station.certificate_pem, root.certificate_pem)
    assert "PRIVATE" not in repr(answer)


def test_the_newest_valid_authority_signs(authority: Pair) -> None:
    ended = make_root("e", "", key_type=KeyType.EC, days=1, now=NOW - timedelta(days=2))
    old = own(authority, name="old", at=NOW - timedelta(days=3))
    new = own(authority, name="new", at=NOW - timedelta(days=2))
    records = [old, new, own(ended, name="ended"), replace(own(authority), key_pem=None)]
    signing = signing_authority(records, NOW)
    assert signing is not None
    assert signing.id == "new"
    assert signing_authority([], NOW) is None


def test_who_shows_a_certificate_is_known(authority: Pair) -> None:
    assert evses_showing(site_showing("client"), "client") == ["bay"]
    assert evses_showing(site_showing(None), "client") == []
    records = [kept(Use.CLIENT, authority, "client"), kept(Use.CLIENT, authority, "unused")]
    assert ids_in_service(records, site_showing("client"), NOW) == {"client"}


def test_an_ending_certificate_raises_an_alarm_while_it_is_in_service(authority: Pair) -> None:
    records = [
        kept(Use.CLIENT, authority, "client", days=20),
        kept(Use.CLIENT, authority, "unused", days=20),
        kept(Use.SERVER, authority, "server", days=365),
        own(authority),
    ]
    [alarm] = alarms(records, site_showing("client"), NOW)
    assert (alarm.alarm_id, alarm.severity) == ("certificate-expires/client", Severity.WARNING)
    assert "in 19 days" in alarm.text
    later = alarms(records, site_showing("client"), NOW + timedelta(days=21))
    assert [found.severity for found in later] == [Severity.CRITICAL]
    assert "has expired" in later[0].text


def test_an_ended_authority_raises_an_alarm_though_it_does_not_sign_any_more() -> None:
    ended = make_root("e", "", key_type=KeyType.EC, days=1, now=NOW - timedelta(days=2))
    [alarm] = alarms([own(ended)], site_showing(None), NOW)
    assert alarm.alarm_id == "certificate-expires/own"


def test_a_client_certificate_that_is_not_there_raises_an_alarm(authority: Pair) -> None:
    server = kept(Use.SERVER, authority, "client")
    [alarm] = alarms([server], site_showing("client"), NOW)
    assert alarm.alarm_id == "certificate-missing/bay"
    assert "'client'" in alarm.text
    assert alarms([server], site_showing(None), NOW) == []


def test_a_client_certificate_for_a_plain_backend_is_warned_of() -> None:
    site = site_showing("client")
    assert problems(site) == []
    [evse] = site.evses
    assert evse.backend is not None
    plain = evse.backend.model_copy(update={"url": "ws://b.example/"})
    evses = (evse.model_copy(update={"backend": plain}),)
    [found] = problems(site.model_copy(update={"evses": evses}))
    assert found.path == "evses[bay].backend.client_certificate"
    assert found.severity is ProblemSeverity.WARNING


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Tiefgarage Köln", "tiefgarage-koln"),
        ("*.garage.example", "garage-example"),
        ("充电", "certificate"),
        ("x" * 100, "x" * 48),
    ],
)
def test_ids_are_readable(name: str, expected: str) -> None:
    assert wished_id(name) == expected


def test_an_id_is_given_once() -> None:
    assert free_id("a", ["b"]) == "a"
    assert free_id("a", ["a", "a-2"]) == "a-3"
