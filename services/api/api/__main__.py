"""``python -m api``: the api as a process of its own."""

from api.service import run
from api.settings import ApiSettings
from shared.runtime import main

main("api", run, ApiSettings)
