"""``parkade simulate …``: boxes, meters, a backend, a garage: to try Parkade without hardware."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from parkade.simulation.backend import SimulatedBackend
from parkade.simulation.car import SALOON, Car
from parkade.simulation.garage import OCPP_URL, demo_garage
from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.ocpp_options import BoxOptions, Quirks
from parkade.simulation.outlet import Outlet
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.power_brain_ocpp import ocpp_side
from parkade.simulation.sdm630 import Sdm630
from parkade.simulation.world import World
from shared.errors import ConfigError
from shared.logs import set_up_logging
from shared.runtime import run_process
from shared.tls import client_context

logger = logging.getLogger(__name__)

simulate_app = typer.Typer(
    no_args_is_help=True,
    help="Simulate what hangs on a garage's fuses: OCPP boxes, Modbus boxes, meters, a backend.",
)

Url = Annotated[str, typer.Option(help="OCPP server; the ChargeBox id is appended.")]
Password = Annotated[str | None, typer.Option(help="Password for HTTP Basic.")]
Trust = Annotated[
    Path | None, typer.Option(help="PEM file of a certificate or root to trust with wss://.")
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every frame.")]


def _run(work: Callable[[], Coroutine[Any, Any, None]], *, verbose: bool = False) -> None:
    set_up_logging(level="DEBUG" if verbose else "INFO", style="text")
    raise typer.Exit(run_process(work))


@simulate_app.command()
def box(  # noqa: PLR0913 - each is an option of the command
    *,
    url: Url = OCPP_URL,
    identity: Annotated[str, typer.Option("--id", help="ChargeBox id.")] = "SIM-BOX",
    count: Annotated[int, typer.Option(min=1, help="So many boxes: SIM-BOX-1, -2, …")] = 1,
    connectors: Annotated[int, typer.Option(min=1, max=16)] = 1,
    max_a: Annotated[float, typer.Option(help="Ampere that box and cable carry.")] = 32.0,
    password: Password = None,
    trust: Trust = None,
    token: Annotated[
        str | None, typer.Option(help="Free charging: start with this idTag on plug-in.")
    ] = None,
    card: Annotated[str | None, typer.Option(help="Show this card after plug-in.")] = None,
    car: Annotated[bool, typer.Option(help="Plug a car into every connector.")] = True,
    signed: Annotated[bool, typer.Option(help="Send signed readings (OCMF).")] = False,
    lag: Annotated[float, typer.Option(help="Seconds until a profile is obeyed.")] = 0.0,
    verbose: Verbose = False,
) -> None:
    """Run OCPP 1.6 boxes.

    Examples:

      parkade simulate box --id GARAGE-7 --token FREE

      parkade simulate box --count 20 --connectors 2 --card 04A1B2C3

      parkade simulate box --url wss://garage.example:19520 --password secret --trust root.pem
    """
    options = BoxOptions(
        autostart_token=token, has_signing_meter=signed, quirks=Quirks(obeys_after_s=lag)
    )
    names = [identity] if count == 1 else [f"{identity}-{n}" for n in range(1, count + 1)]

    async def work() -> None:
        world, tls = World(), _tls(url, trust)
        boxes = []
        for name in names:
            outlets = [
                world.add(Outlet(f"{name}/{n}", max_a=max_a)) for n in range(1, connectors + 1)
            ]
            boxes.append(
                OcppBox(
                    world,
                    outlets,
                    identity=name,
                    url=url,
                    password=password,
                    tls=tls,
                    options=options,
                )
            )
        if car:
            _plug_cars(world, card)
        await _together(world.run(), *(one.run() for one in boxes))

    _run(work, verbose=verbose)


@simulate_app.command("power-brain")
def power_brain(  # noqa: PLR0913 - each is an option of the command
    *,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Modbus TCP port.")] = 4701,
    serial: Annotated[str, typer.Option(help="Serial number.")] = "PB-0001",
    failsafe_s: Annotated[int, typer.Option(help="Seconds of silence before fail-safe.")] = 300,
    failsafe_a: Annotated[float, typer.Option(help="Fail-safe current, 0 = off.")] = 0.0,
    meter: Annotated[bool, typer.Option(help="Has a meter.")] = True,
    ocpp_url: Annotated[str | None, typer.Option(help="OCPP beside Modbus (S23).")] = None,
    identity: Annotated[str, typer.Option("--id", help="ChargeBox id for OCPP.")] = "PB-0001",
    token: Annotated[str | None, typer.Option(help="Fixed RFID for OCPP (S24).")] = None,
    trust: Trust = None,
    car: Annotated[bool, typer.Option(help="Plug a car in.")] = True,
    verbose: Verbose = False,
) -> None:
    """Run a cFos Power Brain on Modbus TCP, and on OCPP beside it if wanted.

    Examples:

      parkade simulate power-brain --port 4701 --failsafe-s 180 --failsafe-a 6

      parkade simulate power-brain --ocpp-url ws://127.0.0.1:19520 --token FIXED
    """

    async def work() -> None:
        world = World()
        outlet = world.add(Outlet(serial, max_a=16.0))
        brain = PowerBrain(
            world,
            outlet,
            serial=serial,
            has_meter=meter,
            failsafe_s=failsafe_s,
            failsafe_a=failsafe_a,
        )
        if car:
            _plug_cars(world, None)
        living: list[Awaitable[None]] = [world.run()]
        if ocpp_url is not None:
            tls = _tls(ocpp_url, trust)
            side = ocpp_side(
                brain, world, identity=identity, url=ocpp_url, fixed_token=token, tls=tls
            )
            living.append(side.run())
        async with brain.serving(host=host, port=port) as opened:
            logger.info("power brain %s on Modbus TCP port %s, unit 1", serial, opened)
            await _together(*living)

    _run(work, verbose=verbose)


@simulate_app.command()
def meter(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Modbus TCP port.")] = 5020,
    l1: Annotated[float, typer.Option(help="Ampere on L1; negative = fed in.")] = 3.0,
    l2: Annotated[float, typer.Option(help="Ampere on L2.")] = 2.0,
    l3: Annotated[float, typer.Option(help="Ampere on L3.")] = 1.0,
) -> None:
    """Run an Eastron SDM630 meter that shows a fixed load.

    Example:  parkade simulate meter --port 5020 --l1 12.5 --l2 3 --l3=-4
    """

    async def work() -> None:
        world = World()
        world.set_base_load("grid", l1=l1, l2=l2, l3=l3)
        async with Sdm630(world).serving(host=host, port=port) as opened:
            logger.info("SDM630 on Modbus TCP port %s, unit 1", opened)
            await world.run()

    _run(work)


@simulate_app.command()
def backend(
    *,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="WebSocket port.")] = 9000,
) -> None:
    """Run a billing backend (OCPP 1.6 central system) that accepts every station and card.

    Example:  parkade simulate backend --port 9000
    """

    async def work() -> None:
        async with SimulatedBackend().serving(host=host, port=port) as url:
            logger.info("backend on %s<client id>", url)
            await asyncio.Event().wait()

    _run(work)


@simulate_app.command()
def garage(
    *,
    url: Url = OCPP_URL,
    site_file: Annotated[
        Path | None, typer.Option(help="Write the matching configuration here.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Run a garage with five bays, a grid meter, and drivers that come and go.

    Example:  parkade simulate garage --site-file demo-site.yaml
    """

    async def work() -> None:
        async with demo_garage(url) as running:
            if site_file is None:
                typer.echo(running.site_yaml)
            else:
                site_file.write_text(running.site_yaml)
                logger.info("the matching configuration is in %s", site_file)
            await asyncio.Event().wait()

    _run(work, verbose=verbose)


def _plug_cars(world: World, card: str | None) -> None:
    for seed, outlet in enumerate(world.outlets.values()):
        outlet.plug(Car(SALOON, seed=seed))
        if card is not None:
            outlet.swipe(card)


def _tls(url: str, trust: Path | None) -> Any:
    if not url.startswith("wss:"):
        return None
    try:
        trusted = [] if trust is None else [trust.read_text()]
    except OSError as error:
        raise ConfigError(f"{trust} cannot be read: {error.strerror}") from error
    return client_context(trusted)


async def _together(*living: Awaitable[None]) -> None:
    async def live(one: Awaitable[None]) -> None:
        await one

    async with asyncio.TaskGroup() as group:
        for one in living:
            group.create_task(live(one))
