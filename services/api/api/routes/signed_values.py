"""``/sessions/{id}/signed``: what a calibrated meter signed, byte for byte (S14)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from api.deps import PartsDep
from api.problems import not_found
from api.storage.station_records import SignedRecord

router = APIRouter(tags=["sessions"])


class SignedValueView(BaseModel):
    """One signed value."""

    raw: str
    """As the station sent it, not changed by a byte."""
    sha256: str
    """Of ``raw`` in UTF-8, in hexadecimal."""
    context: str | None
    """When it was measured, in OCPP's words."""
    transaction_id: int | None
    connector: int
    received_at: datetime


_VIEWS = TypeAdapter(list[SignedValueView])


@router.get(
    "/sessions/{session_id:path}/signed",
    summary="Read the signed values of a session",
    response_model=list[SignedValueView],
)
async def read_signed(
    session_id: str,
    parts: PartsDep,
    download: Annotated[bool, Query(description="the raw texts alone, one a line")] = False,
) -> Response:
    """In the order of their arrival. What has line breaks in it keeps them in a download."""
    found = await parts.station_records.signed_values(session_id)
    if not found and await parts.sessions.get(session_id) is None:
        raise not_found("session", session_id)
    if download:
        return _file(found)
    views = [_view(record) for record in found]
    return JSONResponse(_VIEWS.dump_python(views, mode="json"))


def _view(record: SignedRecord) -> SignedValueView:
    return SignedValueView(
        raw=record.raw,
        sha256=record.sha256,
        context=record.context,
        transaction_id=record.transaction_id,
        connector=record.connector,
        received_at=record.received_at,
    )


def _file(records: list[SignedRecord]) -> Response:
    text = "".join(f"{record.raw}\n" for record in records)
    headers = {"Content-Disposition": 'attachment; filename="signed-values.txt"'}
    return Response(text.encode(), media_type="text/plain; charset=utf-8", headers=headers)
