"""First access: a one-time code for a bearer token; and the two pages that need no token."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from api.deps import PartsDep
from api.problems import ApiProblem

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

HOME_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Parkade</title>
<body style="font-family:sans-serif;max-width:40em;margin:3em auto">
<h1>Parkade</h1>
<p>A charging manager for parking garages. This is its programming interface.</p>
<ul>
<li><a href="/docs">/docs</a>: every route, to try out</li>
<li><a href="/openapi.json">/openapi.json</a>: the same for programs</li>
<li><a href="/readyz">/readyz</a>: whether every part is well</li>
<li><a href="/metrics">/metrics</a>: figures for Prometheus</li>
</ul>
<p>Routes under /api/v1 need a bearer token: PARKADE_ADMIN_TOKEN, or one from the set-up link that
is printed at the first start.</p>
"""

SETUP_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Parkade: set up access</title>
<body style="font-family:sans-serif;max-width:40em;margin:3em auto">
<h1>Set up access</h1>
<p>The link can be used once. You get a bearer token; keep it safe, it is not shown again.</p>
<button id="go">Get the token</button>
<p><code id="answer"></code></p>
<script>
const answer = document.getElementById("answer"), go = document.getElementById("go");
go.onclick = async () => {
  go.disabled = true;
  const code = new URLSearchParams(location.hash.slice(1)).get("code") || "";
  history.replaceState(null, "", location.pathname);
  const response = await fetch("/api/v1/setup?code=" + encodeURIComponent(code), {method: "POST"});
  const body = await response.json();
  answer.textContent = response.ok ? body.token : body.detail;
};
</script>
"""

router = APIRouter(tags=["setup"])
pages = APIRouter(include_in_schema=False)


class SetupState(BaseModel):
    """Whether nobody can come in yet."""

    needed: bool


class SetupAnswer(BaseModel):
    """The token to send as ``Authorization: Bearer``. It is not shown again."""

    token: str


@router.get("/setup", summary="Is access still to be set up?")
async def setup_state(parts: PartsDep) -> SetupState:
    """Tells no secret."""
    return SetupState(needed=await parts.access.needs_setup())


@router.post("/setup", summary="Exchange the one-time code for a bearer token")
async def setup(
    parts: PartsDep, response: Response, code: Annotated[str, Query(min_length=1, max_length=128)]
) -> SetupAnswer:
    """The code is in the link that is printed at the first start."""
    token = await parts.access.exchange(code)
    if token is None:
        raise ApiProblem(
            403,
            "this code was used or is older than 24 hours; if nobody has access yet, starting the "
            "api again prints a new link",
        )
    response.headers["Cache-Control"] = "no-store"
    return SetupAnswer(token=token)


@pages.get("/", response_class=HTMLResponse)
async def home() -> HTMLResponse:
    """Say what this is."""
    return HTMLResponse(HOME_PAGE, headers=PAGE_HEADERS)


@pages.get("/setup", response_class=HTMLResponse)
async def setup_page() -> HTMLResponse:
    """Exchange the code of the link; it is behind a #, so that no server logs it."""
    return HTMLResponse(SETUP_PAGE, headers=PAGE_HEADERS)
