"""Which exchanges and queues exist, and who is bound to what. Pure data; adapters declare it."""

from dataclasses import dataclass
from enum import StrEnum

from shared.contracts.charging import (
    LimitChanged,
    LoadmgrTicked,
    PermissionChanged,
    SetpointApplied,
)
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Address, Event
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import FrameReceived, MessagesLogged
from shared.contracts.plan import PlanChanged
from shared.contracts.session import (
    MeterValuesRecorded,
    SessionEnded,
    SessionStarted,
    SignedValueReceived,
)
from shared.contracts.site import SiteChanged
from shared.contracts.station import (
    ReservationChanged,
    SecurityEventReported,
    StationConnected,
    StationDisconnected,
    StationJobChanged,
)

EVENTS_EXCHANGE = "parkade.events"
"""topic: ``noun.verb.vN.space:name``"""
ORDERS_EXCHANGE = "parkade.orders-by-address"
"""direct: commands and requests, bound per owned address; published as mandatory.

Not a topic exchange: there a binding costs the broker twice as much, and thousands of stations come
at once after a restart."""
OWNERSHIP_EXCHANGE = "parkade.ownership"
"""fanout: who took which address with which epoch."""
DEAD_EXCHANGE = "parkade.dead"
"""fanout to ``parkade.dead-letters``: what a handler could not take, with the reason."""
DEAD_QUEUE = "parkade.dead-letters"


class QueueKind(StrEnum):
    """What a shared queue promises."""

    BILLING = "billing"
    """Quorum queue, nothing expires, dead letters kept: no fact is lost."""
    WORK = "work"
    """Classic queue, bounded, oldest dropped first, samples expire."""


@dataclass(frozen=True, kw_only=True)
class DurableQueue:
    """A queue that exists whether or not somebody consumes it."""

    name: str
    service: str
    """The service that consumes it."""
    kind: QueueKind
    events: tuple[type[Event], ...]
    single_active: bool = True
    max_length: int | None = None

    @property
    def binding_keys(self) -> tuple[str, ...]:
        """Routing patterns of its events, every address."""
        return tuple(f"{event.topic}.*" for event in self.events)


SESSIONS_TO_API = DurableQueue(
    name="api.sessions",
    service="api",
    kind=QueueKind.BILLING,
    events=(SessionStarted, SessionEnded),
)

METER_VALUES_TO_API = DurableQueue(
    name="api.meter-values",
    service="api",
    kind=QueueKind.BILLING,
    events=(MeterValuesRecorded,),
)

STATION_RECORDS_TO_API = DurableQueue(
    name="api.station-records",
    service="api",
    kind=QueueKind.BILLING,
    events=(SignedValueReceived, StationJobChanged, ReservationChanged, SecurityEventReported),
)

MESSAGES_TO_API = DurableQueue(
    name="api.messages",
    service="api",
    kind=QueueKind.WORK,
    events=(MessagesLogged,),
    max_length=2_000,
)

FRAMES_TO_GATEWAY = DurableQueue(
    name="gateway.frames",
    service="gateway",
    kind=QueueKind.BILLING,
    events=(FrameReceived,),
)

OBSERVATIONS_TO_GATEWAY = DurableQueue(
    name="gateway.observations",
    service="gateway",
    kind=QueueKind.WORK,
    events=(EvseObserved, StationConnected, StationDisconnected, SiteChanged),
    max_length=20_000,
)

FACTS_TO_LOADMGR = DurableQueue(
    name="loadmgr.facts",
    service="loadmgr",
    kind=QueueKind.WORK,
    events=(
        EvseObserved,
        MeterSampled,
        SetpointApplied,
        PermissionChanged,
        LimitChanged,
        PlanChanged,
        StationConnected,
        StationDisconnected,
        LoadmgrTicked,
        SiteChanged,
    ),
    max_length=20_000,
)

DURABLE_QUEUES = (
    SESSIONS_TO_API,
    METER_VALUES_TO_API,
    STATION_RECORDS_TO_API,
    MESSAGES_TO_API,
    FRAMES_TO_GATEWAY,
    OBSERVATIONS_TO_GATEWAY,
    FACTS_TO_LOADMGR,
)


def queues_of(services: frozenset[str]) -> tuple[DurableQueue, ...]:
    """Return the queues that somebody consumes when these services run."""
    return tuple(queue for queue in DURABLE_QUEUES if queue.service in services)


def ownership_key(address: Address) -> str:
    """Return the key of every order to one address. The topic travels as the message's type."""
    return address.word
