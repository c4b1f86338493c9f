"""Looking up the parts of a site."""

from shared.contracts.site import Evse, SiteConfig, Station

BAYS = tuple(Evse(id=f"bay-{n}", station=f"CP{n // 2}", circuit="main") for n in range(4))
SITE = SiteConfig(stations=(Station(id="CP0", protocol="ocpp"),), evses=BAYS)


def test_parts_are_found_by_their_names() -> None:
    assert SITE.evse("bay-3") is BAYS[3]
    assert SITE.evses_of("CP1") == BAYS[2:]
    assert SITE.station("cp0") is SITE.stations[0]


def test_what_is_not_there_is_not_found() -> None:
    assert SITE.evse("bay-9") is None
    assert SITE.evses_of("CP9") == ()
    assert SITE.station("CP9") is None


def test_a_copy_with_other_parts_looks_them_up_anew() -> None:
    assert SITE.evse("bay-0")
    assert SITE.evses_of("CP0")
    assert SITE.station("CP0")
    emptied = SITE.model_copy(update={"evses": BAYS[1:2], "stations": ()})
    assert emptied.evse("bay-0") is None
    assert emptied.evses_of("CP0") == BAYS[1:2]
    assert emptied.station("CP0") is None
    assert SITE.evse("bay-0") is BAYS[0]
