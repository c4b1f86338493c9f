"""``/site``: the whole configuration as JSON or YAML."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from fastapi.requests import Request

from api.configuration import document_of
from api.deps import PartsDep, etag
from api.domain.site_file import write_yaml
from api.domain.site_parts import merged
from api.domain.site_secrets import Document, hidden
from api.routes.bodies import JsonBody, SiteBody, body_schema, named_schema
from api.routes.saving import SaveAnswer, SaveDep
from shared.contracts.site import SiteConfig

YAML = "application/yaml"

router = APIRouter(tags=["site"])


@router.get(
    "/site",
    summary="Read the whole configuration",
    response_model=SiteConfig,
    responses={200: {"content": {YAML: {}}}},
)
async def read_site(request: Request, parts: PartsDep) -> Response:
    """JSON, or YAML with ``Accept: application/yaml``. Secrets are shown as ``***``."""
    site = await parts.configuration.refresh()
    document = hidden(document_of(site))
    if "yaml" in request.headers.get("accept", ""):
        text = await asyncio.to_thread(write_yaml, document)
        return Response(text, media_type=YAML, headers=etag(site.revision))
    shown = SiteConfig.model_validate(document)
    return Response(
        shown.model_dump_json(), media_type="application/json", headers=etag(site.revision)
    )


@router.put(
    "/site",
    summary="Replace the whole configuration",
    openapi_extra=body_schema(named_schema(SiteConfig), "application/json", YAML),
)
async def replace_site(document: SiteBody, save: SaveDep) -> SaveAnswer:
    """JSON or YAML. A ``revision`` in it is ignored; ``If-Match`` says what was edited."""

    def replace(stored: Document) -> Document:
        return {**document, "revision": stored["revision"]}

    return await save(replace)


@router.patch(
    "/site",
    summary="Change some settings of the configuration",
    openapi_extra=body_schema({"type": "object"}, "application/merge-patch+json"),
)
async def patch_site(patch: JsonBody, save: SaveDep) -> SaveAnswer:
    """A JSON merge patch (RFC 7396): ``null`` removes a setting, lists are replaced whole."""

    def change(stored: Document) -> Document:
        document: dict[str, Any] = merged(stored, patch)
        return {**document, "revision": stored["revision"]}

    return await save(change)
