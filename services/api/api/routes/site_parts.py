"""Parts of the configuration: circuits, groups, EVSEs, meters, tokens, stations, server.

All are edits of the one site document, saved as a new revision through the same validation.
"""

from dataclasses import dataclass

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.configuration import document_of
from api.deps import Parts, PartsDep, etag
from api.domain.site_parts import find_part, with_part, without_part
from api.domain.site_secrets import Document, hidden
from api.problems import ApiProblem, not_found
from api.routes.bodies import JsonBody, body_schema, named_schema
from api.routes.saving import SaveAnswer, SaveDep
from shared.contracts.site import Circuit, Evse, Group, Meter, OcppServerConfig, Station, Token

READ_ONLY = "live"
"""EVSEs are shown with what is seen of them; sent back, it is ignored."""


@dataclass(frozen=True)
class PartKind:
    """A list of the site with routes of its own."""

    field: str
    word: str
    model: type[BaseModel]
    path: str
    """Of one part, with ``{part_id:path}``: ids may contain slashes."""


CIRCUITS = PartKind("circuits", "circuit", Circuit, "/circuits/{part_id:path}")
GROUPS = PartKind("groups", "group", Group, "/groups/{part_id:path}")
EVSES = PartKind("evses", "EVSE", Evse, "/evses/{part_id:path}")
METERS = PartKind("meters", "meter", Meter, "/meters/{part_id:path}")
TOKENS = PartKind("tokens", "token", Token, "/tokens/{part_id:path}")
STATIONS = PartKind("stations", "station", Station, "/stations/{part_id:path}/config")


def part_routes() -> APIRouter:
    """Return the routes of all parts. More specific paths must be included before them."""
    router = APIRouter()
    for kind in (CIRCUITS, GROUPS, METERS, TOKENS):
        _add_list(router, kind)
    for kind in (CIRCUITS, GROUPS, METERS, TOKENS, STATIONS):
        _add_reading(router, kind)
    for kind in (CIRCUITS, GROUPS, EVSES, METERS, TOKENS, STATIONS):
        _add_editing(router, kind)
    _add_server(router)
    return router


def _add_list(router: APIRouter, kind: PartKind) -> None:
    @router.get(
        f"/{kind.field}",
        summary=f"List the {kind.field}",
        tags=[kind.field],
        response_model=list[kind.model],  # type: ignore[name-defined]  # chosen at run time
        name=f"list_{kind.field}",
    )
    async def list_parts(response: Response, parts: PartsDep) -> list[Document]:
        document = await _shown(parts, response)
        found: list[Document] = document[kind.field]
        return found


def _add_reading(router: APIRouter, kind: PartKind) -> None:
    @router.get(
        kind.path,
        summary=f"Read one {kind.word}",
        tags=[kind.field],
        response_model=kind.model,
        name=f"read_{kind.field}",
    )
    async def read_part(part_id: str, response: Response, parts: PartsDep) -> Document:
        return _found(await _shown(parts, response), kind, part_id)


def _add_editing(router: APIRouter, kind: PartKind) -> None:
    @router.put(
        kind.path,
        summary=f"Create or replace one {kind.word}",
        tags=[kind.field],
        openapi_extra=body_schema(named_schema(kind.model)),
        name=f"put_{kind.field}",
    )
    async def put_part(part_id: str, body: JsonBody, save: SaveDep) -> SaveAnswer:
        part = _part_of(body, part_id)
        return await save(lambda stored: with_part(stored, kind.field, part))

    @router.delete(
        kind.path,
        summary=f"Remove one {kind.word}",
        tags=[kind.field],
        name=f"delete_{kind.field}",
    )
    async def delete_part(part_id: str, save: SaveDep) -> SaveAnswer:
        def remove(stored: Document) -> Document:
            _found(stored, kind, part_id)
            return without_part(stored, kind.field, part_id)

        return await save(remove)


def _add_server(router: APIRouter) -> None:
    @router.get("/ocpp-server", summary="Read the OCPP server's settings", tags=["ocpp-server"])
    async def read_server(response: Response, parts: PartsDep) -> OcppServerConfig:
        document = await _shown(parts, response)
        return OcppServerConfig.model_validate(document["ocpp_server"])

    @router.put(
        "/ocpp-server",
        summary="Replace the OCPP server's settings",
        tags=["ocpp-server"],
        openapi_extra=body_schema(named_schema(OcppServerConfig)),
    )
    async def put_server(body: JsonBody, save: SaveDep) -> SaveAnswer:
        """``password`` sets the password of S6, ``"password": null`` removes it."""
        return await save(lambda stored: {**stored, "ocpp_server": body})


async def _shown(parts: Parts, response: Response) -> Document:
    site = await parts.configuration.refresh()
    response.headers.update(etag(site.revision))
    return hidden(document_of(site))


def _found(document: Document, kind: PartKind, part_id: str) -> Document:
    part = find_part(document, kind.field, part_id)
    if part is None:
        raise not_found(kind.word, part_id)
    return part


def _part_of(body: Document, part_id: str) -> Document:
    part = {"id": part_id, **body}
    part.pop(READ_ONLY, None)
    if part["id"] != part_id:
        raise ApiProblem(
            422, f"the body is about {part['id']!r} and the path about {part_id!r}: use one id"
        )
    return part
