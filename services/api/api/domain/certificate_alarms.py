"""What an operator has to know about certificates before a station or a backend notices it."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from api.domain.certificate_chain import Use
from api.domain.certificate_service import ids_in_service
from api.domain.certificates import CertificateRecord, days_left
from shared.contracts.alarm import AlarmChanged, Severity
from shared.contracts.site import SiteConfig

WARN_DAYS = 30


def alarms(
    records: Sequence[CertificateRecord], site: SiteConfig, now: datetime
) -> list[AlarmChanged]:
    """Return every alarm that is active now."""
    return [*_expiring(records, site, now), *_missing(records, site, now)]


def _expiring(
    records: Sequence[CertificateRecord], site: SiteConfig, now: datetime
) -> Iterator[AlarmChanged]:
    in_service = ids_in_service(records, site, now)
    for record in records:
        left = days_left(record, now)
        if record.id not in in_service or left is None or left >= WARN_DAYS:
            continue
        ends = "has expired" if left < 0 else f"expires in {left} days"
        yield AlarmChanged(
            alarm_id=f"certificate-expires/{record.id}",
            active=True,
            severity=Severity.CRITICAL if left < 0 else Severity.WARNING,
            text=f"certificate {record.id!r} ({record.use.value}) {ends}: renew it",
            changed_at=now,
        )


def _missing(
    records: Sequence[CertificateRecord], site: SiteConfig, now: datetime
) -> Iterator[AlarmChanged]:
    """S21: an EVSE names the certificate that its backend is shown."""
    usable = {r.id for r in records if r.use is Use.CLIENT and r.certificate_pem is not None}
    for evse in site.evses:
        wanted = evse.backend.client_certificate if evse.backend else None
        if wanted is None or wanted in usable:
            continue
        yield AlarmChanged(
            alarm_id=f"certificate-missing/{evse.id}",
            active=True,
            severity=Severity.WARNING,
            text=f"EVSE {evse.id!r} shows its backend the client certificate {wanted!r}, and there "
            "is none of that id: make or import it, or name another in its backend",
            changed_at=now,
        )
