"""Areas Firmware and Diagnostics: a job is ordered, the station tells how far it is."""

from shared.clock import SYSTEM_CLOCK
from tests.conformance.bench import Bench, reset_and_boot, timestamp
from tests.conformance.charge_point import ChargePoint

FIRMWARE_AT = "ftp://firmware.example/box-2.0.0.bin"
UPLOAD_TO = "ftp://uploads.example/diagnostics/"


async def _order_firmware(bench: Bench, station: ChargePoint) -> None:
    now = SYSTEM_CLOCK.now()
    outcome = await bench.operator.ask(
        "firmware", location=FIRMWARE_AT, retrieve_at=now.isoformat(), retries=1
    )
    assert (outcome["outcome"], outcome["payload"]) == ("answered", {})
    assert station.received("UpdateFirmware") == [
        {"location": FIRMWARE_AT, "retrieveDate": timestamp(now), "retries": 1}
    ]


async def _tell(station: ChargePoint, kind: str, *words: str) -> None:
    for word in words:
        assert await station.call(f"{kind}StatusNotification", {"status": word}) == {}


async def _shown(bench: Bench, kind: str, *words: str) -> None:
    """The operator sees one job, with these steps at its end, and that it is over."""
    job = await bench.operator.until_listed("jobs", kind=kind, status=words[-1])
    assert [step["status"] for step in job["steps"]][-len(words) :] == list(words)
    assert job["finished_at"] is not None


async def test_tc_044_1_firmware_update_download_and_install(bench: Bench) -> None:
    """Firmware Update - Download and Install"""
    async with bench.booted() as station:
        await _order_firmware(bench, station)
        await _tell(station, "Firmware", "Downloading", "Downloaded", "Installing")
        await reset_and_boot(station)
        await _tell(station, "Firmware", "Installed")
        await _shown(bench, "firmware", "Downloading", "Downloaded", "Installing", "Installed")


async def test_tc_044_2_firmware_update_download_failed(bench: Bench) -> None:
    """Firmware Update - Download Failed"""
    async with bench.booted() as station:
        await _order_firmware(bench, station)
        await _tell(station, "Firmware", "Downloading", "DownloadFailed")
        await _shown(bench, "firmware", "Downloading", "DownloadFailed")


async def test_tc_044_3_firmware_update_installation_failed(bench: Bench) -> None:
    """Firmware Update - Installation Failed"""
    steps = ("Downloading", "Downloaded", "Installing", "InstallationFailed")
    async with bench.booted() as station:
        await _order_firmware(bench, station)
        await _tell(station, "Firmware", *steps)
        await _shown(bench, "firmware", *steps)


async def _order_diagnostics(bench: Bench, station: ChargePoint) -> None:
    station.answer("GetDiagnostics", {"fileName": "diagnostics.zip"})
    outcome = await bench.operator.ask("diagnostics", location=UPLOAD_TO)
    assert outcome["payload"] == {"fileName": "diagnostics.zip"}
    assert station.received("GetDiagnostics") == [{"location": UPLOAD_TO}]


async def test_tc_045_1_get_diagnostics(bench: Bench) -> None:
    """Get Diagnostics"""
    async with bench.booted() as station:
        await _order_diagnostics(bench, station)
        await _tell(station, "Diagnostics", "Uploading", "Uploaded")
        await _shown(bench, "diagnostics", "Uploading", "Uploaded")


async def test_tc_045_2_get_diagnostics_upload_failed(bench: Bench) -> None:
    """Get Diagnostics - Upload Failed"""
    async with bench.booted() as station:
        await _order_diagnostics(bench, station)
        await _tell(station, "Diagnostics", "Uploading", "UploadFailed")
        await _shown(bench, "diagnostics", "Uploading", "UploadFailed")
