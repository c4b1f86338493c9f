"""The ASGI app: routes, errors, limits. It owns nothing; its parts are given to it."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline

from api.body_limit import BodyLimit
from api.deps import Parts, require_operator
from api.domain.pem import UnusableCertificate
from api.problems import ProblemDocument, add_problem_handlers
from api.routes import (
    alarms,
    certificates,
    dimming,
    evses,
    external_limits,
    history,
    messages,
    meter_values,
    plans,
    sessions,
    setup,
    signed_values,
    site,
    station_configuration,
    station_jobs,
    station_reservations,
    station_security,
    stations,
    streams,
    what_if,
)
from api.routes.site_parts import part_routes
from shared.health import Health, add_health_routes

PREFIX = "/api/v1"
ERRORS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": ProblemDocument, "description": "What to do is in detail and problems"},
    "5XX": {"model": ProblemDocument, "description": "Trying again later may help"},
}
TAGS = [
    {"name": "site", "description": "The whole configuration, versioned"},
    {"name": "circuits", "description": "Fuses"},
    {"name": "groups", "description": "EVSEs with a limit or a rank of their own"},
    {"name": "limits", "description": "Set from outside, for circuits and groups"},
    {"name": "dimming", "description": "Section 14a EnWG: the grid operator's control box"},
    {"name": "plans", "description": "For the vehicle at an EVSE, until it leaves"},
    {"name": "evses", "description": "Outlets: configuration, present, orders"},
    {"name": "meters", "description": "Meters on circuits"},
    {"name": "tokens", "description": "RFID cards and other idTags"},
    {"name": "ocpp-server", "description": "The port that stations connect to"},
    {"name": "certificates", "description": "For TLS: shown, trusted, and the own authority"},
    {"name": "stations", "description": "Boxes, known and unknown; raw OCPP calls"},
    {"name": "messages", "description": "Every frame between stations and server"},
    {"name": "sessions", "description": "What was charged"},
    {"name": "history", "description": "Samples over time"},
    {"name": "alarms", "description": "What to look at"},
    {"name": "streams", "description": "What happens, as it happens"},
    {"name": "what-if", "description": "Changed sites, tried out with recorded vehicles"},
    {"name": "setup", "description": "First access"},
]


def build_app(parts: Parts, health: Health) -> FastAPI:
    """Return the app over its parts. Its pages load nothing from elsewhere (ADR 13)."""
    app = FastAPIOffline(
        title="Parkade",
        summary="Charging manager for parking garages",
        version="1",
        openapi_tags=TAGS,
    )
    app.state.parts = parts
    app.add_middleware(BodyLimit)
    add_problem_handlers(app)
    app.add_exception_handler(UnusableCertificate, certificates.unusable_certificate)
    add_health_routes(app, health)
    app.include_router(setup.pages)
    app.include_router(setup.router, prefix=PREFIX, responses=ERRORS)
    app.include_router(streams.router, prefix=PREFIX, responses=ERRORS)
    app.include_router(messages.follow_router, prefix=PREFIX, responses=ERRORS)
    app.include_router(_operator_routes(), prefix=PREFIX, responses=ERRORS)
    return app


def _operator_routes() -> APIRouter:
    """Return what needs a token. Ids may contain slashes, so longer paths come first."""
    routes = APIRouter(dependencies=[Depends(require_operator)])
    routes.include_router(site.router)
    routes.include_router(what_if.router)
    routes.include_router(station_jobs.router)
    routes.include_router(station_reservations.router)
    routes.include_router(station_configuration.router)
    routes.include_router(dimming.router)
    routes.include_router(plans.router)
    routes.include_router(evses.router)
    routes.include_router(external_limits.router)
    routes.include_router(part_routes())
    routes.include_router(certificates.router)
    routes.include_router(messages.router)
    routes.include_router(station_security.router)
    routes.include_router(stations.router)
    routes.include_router(meter_values.router)
    routes.include_router(signed_values.router)
    routes.include_router(sessions.router)
    routes.include_router(history.router)
    routes.include_router(alarms.router)
    return routes
