"""``parkade loadmgr …``: what load management decided, decided again or at a changed site."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from loadmgr.dry_run.comparing import compared_as_recorded
from loadmgr.dry_run.recording import Recording, recording_of
from loadmgr.log_reading import LogFile, in_order
from loadmgr.replaying import Replayed, replayed
from parkade.site_file import read_imagined_site
from shared.contracts.dry_run import DryRunAnswer, DryRunReport
from shared.contracts.site import SiteConfig
from shared.errors import ConfigError
from shared.runtime import EXIT_CONFIG

EXIT_DIFFERENT = 1
FAR_AWAY = datetime.max.replace(tzinfo=UTC)

loadmgr_app = typer.Typer(no_args_is_help=True, help="Look into what load management decided.")

Files = Annotated[
    list[Path],
    typer.Argument(help="Decision logs, .jsonl or .jsonl.gz; of the folder loadmgr in the data."),
]
Site = Annotated[
    Path | None,
    typer.Option("--site", help="Charge the recorded vehicles at this site (YAML or JSON) too."),
]
From = Annotated[
    str | None, typer.Option("--from", help="Not before, such as 2026-03-01T08:00:00Z.")
]
To = Annotated[str | None, typer.Option("--to", help="Before this time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@loadmgr_app.callback()
def _group() -> None:
    """Look into what load management decided."""


@loadmgr_app.command()
def replay(
    files: Files,
    *,
    site: Site = None,
    begins: From = None,
    ends: To = None,
    as_json: AsJson = False,
) -> None:
    """Decide what was recorded again, and compare.

    Exit code 0: the program decides what it decided then; 1: it decides otherwise; 2: the files
    cannot be used. With --site it charges the recorded vehicles at the present and the changed
    site, and prints both reports.
    """
    try:
        first, last = _moment("--from", begins), _moment("--to", ends)
        if site is not None:
            _what_if(files, read_imagined_site(site), first, last, as_json=as_json)
            return
        outcome = replayed(files, begins=first, ends=last)
    except ConfigError as error:
        typer.echo(f"parkade: {error}", err=True)
        raise typer.Exit(EXIT_CONFIG) from error
    typer.echo(_json_of(outcome) if as_json else _text_of(outcome))
    raise typer.Exit(EXIT_DIFFERENT if outcome.tally.differing else 0)


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {text!r} is no time: write it as 2026-03-01T08:00:00Z"
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _text_of(outcome: Replayed) -> str:
    tally = outcome.tally
    lines = [f"note: {note}" for note in outcome.notes]
    lines += [
        f"{d.at.isoformat()}  {d.evse_id}  {d.what}: recorded {d.recorded}, now {d.now}"
        for d in outcome.differences
    ]
    if tally.differing:
        lines.append(f"{tally.decisions} decisions, {tally.differing} of them different")
    else:
        lines.append(f"{tally.decisions} decisions, all the same")
    return "\n".join(lines)


def _json_of(outcome: Replayed) -> str:
    told = {
        **asdict(outcome.tally),
        "differences": [{**d._asdict(), "at": d.at.isoformat()} for d in outcome.differences],
        "notes": outcome.notes,
    }
    return json.dumps(told, indent=2)


def _what_if(
    paths: list[Path],
    site: SiteConfig,
    begins: datetime | None,
    ends: datetime | None,
    *,
    as_json: bool,
) -> None:
    files = in_order(paths)
    recording = _recording(files, begins, ends)
    answer = compared_as_recorded(site, recording.site, recording)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
        return
    for file in files:
        if file.is_cut:
            typer.echo(f"note: {file.path} is cut off at its end; what is there was used")
    doubtful = sum(one.may_have_wanted_more for one in recording.visits)
    if doubtful:
        typer.echo(
            f"note: {doubtful} of {len(recording.visits)} vehicles left while they drew all they "
            "were offered, and may have wanted more than is counted here"
        )
    typer.echo(table(answer))


def _recording(files: list[LogFile], begins: datetime | None, ends: datetime | None) -> Recording:
    first = begins or files[0].begun_at()
    happenings = (happening for file in files for happening in file.scan())
    return recording_of(happenings, begins=first, ends=ends or FAR_AWAY)


def table(answer: DryRunAnswer) -> str:
    """Return two reports side by side."""
    rows = [("", "present", "changed")]
    rows += [
        (name, _shown(answer.present, attribute), _shown(answer.changed, attribute))
        for name, attribute in (
            ("vehicles", "visits"),
            ("asked for, kWh", "requested_wh"),
            ("delivered, kWh", "delivered_wh"),
            ("delivered, %", "delivered_share"),
            ("Jain index", "jain"),
            ("worst vehicle, %", "worst_share"),
            ("starts per vehicle", "starts_per_visit"),
            ("limits changed", "setpoints"),
        )
    ]
    rows += list(_circuit_rows(answer))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {present:>{widths[1]}}  {changed:>{widths[2]}}".rstrip()
        for name, present, changed in rows
    )


def _shown(report: DryRunReport, attribute: str) -> str:
    value = getattr(report, attribute)
    if attribute.endswith("_wh"):
        return f"{value / 1_000:.1f}"
    if attribute.endswith("_share"):
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _circuit_rows(answer: DryRunAnswer) -> list[tuple[str, str, str]]:
    present = {circuit.circuit_id: circuit for circuit in answer.present.circuits}
    changed = {circuit.circuit_id: circuit for circuit in answer.changed.circuits}
    rows: list[tuple[str, str, str]] = []
    for name in [*present, *(key for key in changed if key not in present)]:
        pair = (present.get(name), changed.get(name))
        peaks = ["-" if c is None else f"{max(c.peak_a.known):.1f}" for c in pair]
        overloads = ["-" if c is None else f"{c.overload_s:.0f}" for c in pair]
        rows.append((f"{name}: peak, A", peaks[0], peaks[1]))
        rows.append((f"{name}: overload, s", overloads[0], overloads[1]))
    return rows
