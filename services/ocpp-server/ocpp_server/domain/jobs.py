"""Jobs that a station does by itself: which words begin one, and which end it.

OCPP 1.6, 7.24 (diagnostics), 7.25 (firmware); security white paper, 4 (log, signed firmware).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.contracts.station import JobKind

REPORTS = {
    "DiagnosticsStatusNotification": JobKind.DIAGNOSTICS,
    "FirmwareStatusNotification": JobKind.FIRMWARE,
    "LogStatusNotification": JobKind.LOG,
    "SignedFirmwareStatusNotification": JobKind.SIGNED_FIRMWARE,
}
"""What a station reports on which job with."""

_FINAL = {
    JobKind.DIAGNOSTICS: {"Uploaded", "UploadFailed"},
    JobKind.FIRMWARE: {"DownloadFailed", "InstallationFailed", "Installed"},
    JobKind.LOG: {
        "BadMessage",
        "NotSupportedOperation",
        "PermissionDenied",
        "Uploaded",
        "UploadFailure",
        "UploadFailed",  # the white paper's text calls UploadFailure so
    },
    JobKind.SIGNED_FIRMWARE: {
        "DownloadFailed",
        "InstallationFailed",
        "Installed",
        "InstallVerificationFailed",
        "InvalidSignature",
    },
}
_TAKEN = frozenset({"Accepted", "AcceptedCanceled"})


class Order(NamedTuple):
    """A job that a station has taken on."""

    kind: JobKind
    status: str
    location: str
    request_id: int | None = None
    file_name: str = ""
    finished: bool = False
    detail: str = ""


def is_final(kind: JobKind, status: str) -> bool:
    """Tell whether nothing is to be expected of a job after this word."""
    return status in _FINAL.get(kind, ())


def order_taken(action: str, payload: Mapping[str, Any], answer: Mapping[str, Any]) -> Order | None:
    """Return the job that a call of ours has begun; None when it begins none, or was refused."""
    match action:
        case "UpdateFirmware":  # its answer has no status: to answer is to take it (5.19)
            return Order(JobKind.FIRMWARE, "Accepted", _text(payload, "location"))
        case "GetDiagnostics":
            return _diagnostics(payload, answer)
        case "SignedUpdateFirmware":
            return _signed_firmware(payload, answer)
        case "GetLog":
            return _log(payload, answer)
    return None


def _diagnostics(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> Order:
    file_name = _text(answer, "fileName")
    return Order(
        JobKind.DIAGNOSTICS,
        "Accepted" if file_name else "NoFile",
        _text(payload, "location"),
        file_name=file_name,
        finished=not file_name,  # OCPP 1.6, 6.22: then there is nothing to upload
        detail="" if file_name else "the station names no file: it has no diagnostics to upload",
    )


def _signed_firmware(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> Order | None:
    status = _text(answer, "status")
    if status not in _TAKEN:
        return None
    location = _text(_part(payload, "firmware"), "location")
    return Order(JobKind.SIGNED_FIRMWARE, status, location, request_id(payload))


def _log(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> Order | None:
    status = _text(answer, "status")
    if status not in _TAKEN:
        return None
    return Order(
        JobKind.LOG,
        status,
        _text(_part(payload, "log"), "remoteLocation"),
        request_id(payload),
        file_name=_text(answer, "filename"),
        detail=_text(payload, "logType"),
    )


def request_id(payload: Mapping[str, Any]) -> int | None:
    """Return the ``requestId`` of a payload, if it has one that is a number."""
    return whole_number(payload, "requestId")


def whole_number(payload: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number of a payload; None when it is something else, or fits no database."""
    told = payload.get(key)
    if not isinstance(told, int) or isinstance(told, bool) or abs(told) >= 2**63:
        return None
    return told


def _part(payload: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = payload.get(key)
    return part if isinstance(part, dict) else {}


def _text(payload: Mapping[str, Any], key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
