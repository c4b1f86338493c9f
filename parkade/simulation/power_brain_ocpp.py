"""The OCPP side of a Power Brain: it starts transactions; its profile is one of two limits."""

import ssl

from parkade.simulation.ocpp_box import OcppBox
from parkade.simulation.ocpp_options import BoxOptions
from parkade.simulation.power_brain import PowerBrain
from parkade.simulation.world import World


def ocpp_side(
    brain: PowerBrain,
    world: World,
    *,
    identity: str,
    url: str,
    password: str | None = None,
    fixed_token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> OcppBox:
    """Configure OCPP in a Power Brain and return its client; run it beside the Modbus port.

    From now on it charges only while OCPP allows it, too (S25). With ``fixed_token`` plugging in
    starts the transaction; without, a card does.
    """
    brain.allow_by_ocpp(0.0)
    options = BoxOptions(
        vendor="cFos",
        model="Power Brain",
        serial=brain.serial,
        autostart_token=fixed_token,
        reconnect_s=0.5,
    )
    return OcppBox(
        world,
        [brain.outlet],
        identity=identity,
        url=url,
        password=password,
        tls=tls,
        options=options,
        allow=lambda limit: brain.allow_by_ocpp(limit.amps),
    )
