"""The ``parkade`` command."""

import asyncio
import os
import sys
import urllib.request
from collections.abc import Callable, Coroutine
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from api.domain.site_rules import problems
from parkade.doctor import findings
from parkade.loadmgr_cli import loadmgr_app
from parkade.services import SERVICES
from parkade.simulation.cli import simulate_app
from parkade.site_file import read_site
from parkade.up import demo as run_demo
from parkade.up import up as run_up
from shared.errors import ConfigError
from shared.runtime import EXIT_CONFIG, run_process
from shared.runtime import main as run_service
from shared.settings import ServiceSettings

app = typer.Typer(
    name="parkade",
    no_args_is_help=True,
    add_completion=False,
    help="Parkade shares the fuses of a parking garage among its wallboxes.",
)
app.add_typer(simulate_app, name="simulate")
app.add_typer(loadmgr_app, name="loadmgr")


def main() -> None:
    """Entry point of the ``parkade`` command."""
    app()


def _finish(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    raise typer.Exit(run_process(work))


@app.command()
def up() -> None:
    """Run everything in one process: no broker, no database server, no Docker."""
    _finish(run_up)


@app.command()
def demo() -> None:
    """Run everything in one process beside a simulated garage, on a temporary folder."""
    _finish(run_demo)


@app.command()
def run(service: Annotated[str, typer.Argument(help=f"One of: {', '.join(SERVICES)}.")]) -> None:
    """Run one service as a process of its own (needs RabbitMQ: PARKADE_BUS_URL)."""
    entry = SERVICES.get(service)
    if entry is None:
        _refuse(f"there is no service {service!r}; choose one of: {', '.join(SERVICES)}")
    run_service(entry.name, entry.run, entry.settings)


@app.command()
def health() -> None:
    """Tell whether the service of this container is ready (exit code 0) or not (1)."""
    settings = ServiceSettings()
    port = settings.health_port or int(os.environ.get("PARKADE_HTTP_PORT", "8080"))
    url = f"http://127.0.0.1:{port}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            print(answer.read().decode())
    except OSError as error:
        print(f"not ready: {url}: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


@app.command("check-site")
def check_site(file: Annotated[Path, typer.Argument(help="A site in YAML or JSON.")]) -> None:
    """Check a site file without storing it; exit code 2 names what to change."""
    try:
        site = read_site(file)
    except ConfigError as error:
        _refuse(str(error))
    found = problems(site)
    if found:
        _refuse(f"{file} cannot be used:\n" + "\n".join(f"  {p.path}: {p.message}" for p in found))
    print(
        f"{file}: {len(site.evses)} EVSEs on {len(site.circuits)} circuits, nothing to complain of"
    )


@app.command()
def doctor() -> None:
    """Look at this machine and its settings and say what would keep Parkade from running."""
    try:
        found = asyncio.run(findings())
    except ConfigError as error:
        _refuse(str(error))
    for finding in found:
        print(f"{'ok ' if finding.ok else 'BAD'}  {finding.part}: {finding.detail}")
    raise typer.Exit(0 if all(finding.ok for finding in found) else EXIT_CONFIG)


@app.command()
def version() -> None:
    """Print the version."""
    print(installed_version("parkade"))


def _refuse(text: str) -> NoReturn:
    print(f"parkade: {text}", file=sys.stderr)
    raise typer.Exit(EXIT_CONFIG)
