"""What routes are given: the parts of the api, the caller's right, the revision they edited."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header
from fastapi.requests import HTTPConnection, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.access import Access
from api.certificates import Certificates
from api.configuration import Configuration
from api.event_stream import EventStream
from api.external_limits import ExternalLimits
from api.live import LiveView
from api.message_feed import MessageFeed
from api.plans import Plans
from api.problems import ApiProblem
from api.promotions import Promotions
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from api.storage.samples import SampleStore
from api.storage.sessions import SessionStore
from api.storage.station_records import StationRecordStore
from shared.bus.port import Bus
from shared.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that routes work with; one for each app."""

    bus: Bus
    clock: Clock
    configuration: Configuration
    live: LiveView
    stream: EventStream
    sessions: SessionStore
    samples: SampleStore
    messages: MessageStore
    meter_values: MeterValueStore
    message_feed: MessageFeed
    station_records: StationRecordStore
    access: Access
    promotions: Promotions
    certificates: Certificates
    external_limits: ExternalLimits
    plans: Plans


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app that a request reached."""
    parts: Parts = connection.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]
_bearer = HTTPBearer(auto_error=False, description="The admin token, or one from /setup")


async def require_operator(
    parts: PartsDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Let only bearers of a good token in."""
    await check_token(parts, credentials.credentials if credentials else None)


async def require_follower(request: Request, parts: PartsDep) -> None:
    """The same for streams, which browsers open without headers: ``?access_token=`` counts too."""
    await check_token(parts, presented_token(request))


def presented_token(connection: HTTPConnection) -> str | None:
    """Return the token in the Authorization header or in ``?access_token=``."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.query_params.get("access_token")


async def check_token(parts: Parts, token: str | None) -> None:
    """Raise a 401 problem unless the token is good."""
    if token is None or not await parts.access.allows(token):
        raise ApiProblem(
            401,
            "send `Authorization: Bearer <token>` with the admin token (PARKADE_ADMIN_TOKEN) or "
            "one from the set-up link printed at the first start",
            headers={"WWW-Authenticate": "Bearer"},
        )


def expected_revisions(
    if_match: Annotated[str | None, Header(description="ETag that was edited")] = None,
) -> frozenset[int] | None:
    """Return the revisions named by If-Match; ``None`` when any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in if_match.split(","))
    return frozenset(int(tag) for tag in tags if tag.isascii() and tag.isdigit())


ExpectedDep = Annotated[frozenset[int] | None, Depends(expected_revisions)]


def etag(revision: int) -> dict[str, str]:
    """Return the header that names a revision."""
    return {"ETag": f'"{revision}"'}
