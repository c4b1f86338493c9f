"""Is this process well? Parts report, ``/livez`` and ``/readyz`` tell, ``/metrics`` counts."""

from dataclasses import dataclass

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


@dataclass(frozen=True)
class Report:
    """What one part says of itself."""

    ok: bool
    detail: str


class Health:
    """The latest report of every part. A process is ready when all its parts are."""

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        self._neighbours: dict[str, Health] = {}

    def include(self, service: str, neighbour: "Health") -> None:
        """Count a neighbour of the same process as a part, so that one page tells of all."""
        self._neighbours[service] = neighbour

    def report(self, part: str, *, ok: bool, detail: str = "") -> None:
        """Say how a part is; the latest word counts."""
        self._reports[part] = Report(ok, detail)

    @property
    def reports(self) -> dict[str, Report]:
        """The latest report of each part; those of neighbours under the name of their service."""
        told = dict(self._reports)
        for service, neighbour in self._neighbours.items():
            told.update({f"{service}/{part}": r for part, r in neighbour.reports.items()})
        return told

    @property
    def is_ready(self) -> bool:
        """All parts are well, and there is at least one; the same holds for every neighbour."""
        own = bool(self._reports) and all(report.ok for report in self._reports.values())
        return own and all(neighbour.is_ready for neighbour in self._neighbours.values())


def add_health_routes(app: FastAPI, health: Health) -> None:
    """Serve ``/livez``, ``/readyz`` and ``/metrics`` on an app."""

    @app.get("/livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz(response: Response) -> dict[str, object]:
        response.status_code = 200 if health.is_ready else 503
        parts = {name: {"ok": r.ok, "detail": r.detail} for name, r in health.reports.items()}
        return {"ready": health.is_ready, "parts": parts}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def health_app(health: Health) -> FastAPI:
    """Return an app that serves nothing but health."""
    app = FastAPI(title="Parkade health", openapi_url=None)
    add_health_routes(app, health)
    return app
