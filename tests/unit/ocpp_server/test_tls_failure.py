"""OpenSSL's reasons, and what to change in the wallbox."""

import pytest

from ocpp_server.domain.tls_failure import explain


@pytest.mark.parametrize(
    ("reason", "alert", "advice"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown ca", "root in the wallbox"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad certificate", "root in the wallbox"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate expired", "clock of the wallbox"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required", "certificates of stations"),
        ("NO_SHARED_CIPHER", "no shared cipher", "other key type"),
        ("UNSUPPORTED_PROTOCOL", "unsupported protocol", "update its firmware"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "protocol version", "update its firmware"),
        (None, "unexpected eof while reading", "in the middle of the TLS handshake"),
        ("SOMETHING_NEW", "something new", "no TLS could be made"),
    ],
)
def test_a_reason_is_put_in_words(reason: str | None, alert: str, advice: str) -> None:
    failure = explain(reason)
    assert failure.alert == alert
    assert advice in failure.advice


def test_what_was_wrong_with_a_client_certificate_is_told() -> None:
    failure = explain("CERTIFICATE_VERIFY_FAILED", "certificate has expired")
    assert failure.alert == "certificate verify failed: certificate has expired"
    assert "certificates of stations" in failure.advice
