"""Request bodies read by hand, so that every mistake in them is answered by its place."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import Depends
from fastapi.requests import Request
from pydantic import BaseModel

from api.domain.problem import Problem
from api.domain.site_file import UnreadableFile, read_yaml
from api.domain.site_secrets import Document
from api.problems import ApiProblem


async def json_object(request: Request) -> Document:
    """Return the JSON object in the body, or raise a 400 problem with line and column."""
    return await asyncio.to_thread(_parse_json, await body_text(request))


async def site_document(request: Request) -> Document:
    """Return the JSON or YAML mapping in the body; what is not called JSON is read as YAML."""
    text = await body_text(request)
    if "json" in request.headers.get("content-type", ""):
        return await asyncio.to_thread(_parse_json, text)
    try:
        return await asyncio.to_thread(read_yaml, text)
    except UnreadableFile as error:
        raise _unreadable("YAML", str(error), error.line, error.column) from error


async def body_text(request: Request) -> str:
    """Return the body as text, or raise a 400 problem."""
    try:
        return (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiProblem(400, f"the body is not UTF-8: {error}") from error


def _parse_json(text: str) -> Document:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise _unreadable("JSON", message, error.lineno, error.colno) from error
    except (RecursionError, ValueError) as error:
        raise ApiProblem(400, f"the body cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ApiProblem(400, "the body must be a JSON object")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _unreadable(language: str, message: str, line: int, column: int) -> ApiProblem:
    place = Problem(f"line {line}, column {column}", message.partition(": ")[2] or message)
    return ApiProblem(400, f"the body is no {language}: {message}", problems=[place])


JsonBody = Annotated[Document, Depends(json_object)]
SiteBody = Annotated[Document, Depends(site_document)]


def named_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the reference to a model that some route answers with."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def body_schema(schema: dict[str, Any], *media_types: str) -> dict[str, Any]:
    """Return the OpenAPI words for a body that is read by hand."""
    content = {media: {"schema": schema} for media in media_types or ("application/json",)}
    return {"requestBody": {"required": True, "content": content}}
