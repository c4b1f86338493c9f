"""The demo garage fits the configuration that is handed out with it."""

import yaml

from api.domain.site_rules import problems
from parkade.simulation.car import Car
from parkade.simulation.garage import demo_garage
from shared.contracts.site import SiteConfig
from tests.conditions import eventually
from tests.fake_csms import FakeCsms


async def test_its_site_file_can_be_used_and_names_its_ports() -> None:
    async with demo_garage() as garage:
        site = SiteConfig.model_validate(yaml.safe_load(garage.site_yaml))
        assert problems(site) == []
        assert site == garage.site
        brain = site.station("PB-DEMO")
        assert brain is not None
        assert brain.modbus is not None
        assert brain.modbus.port == garage.brain.port > 0
        assert {e.id for e in site.evses} == set(garage.world.outlets)
        assert [e.id for e in site.evses if e.backend] == ["bay-1", "bay-2", "bay-5"]


async def test_what_the_site_says_about_wiring_is_how_the_world_is_wired() -> None:
    async with demo_garage() as garage:
        for evse in garage.site.evses:
            outlet = garage.world.outlets[evse.id]
            assert (evse.circuit, evse.rotation, evse.max_a) == (
                outlet.circuit,
                outlet.rotation,
                outlet.max_a,
            )


async def test_its_boxes_connect_and_free_bays_charge() -> None:
    async with FakeCsms().serving() as csms, demo_garage(csms.url) as garage:
        await eventually(lambda: all(box.is_connected for box in garage.boxes))
        bay = garage.world.outlets["bay-3"]
        bay.plug(Car())
        await eventually(lambda: bay.offered_a > 0)
        assert csms.violations == []
