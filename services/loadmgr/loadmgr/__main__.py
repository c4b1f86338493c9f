"""``python -m loadmgr``: load management as a process of its own."""

from loadmgr.service import run
from loadmgr.settings import LoadmgrSettings
from shared.runtime import main

main("loadmgr", run, LoadmgrSettings)
