"""A decision log as the days of a dry run: who came, what others drew, and the site of that time.

Pure but for the iterator that it is given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from loadmgr.domain.log_scan import Configured, Said, Sent
from loadmgr.domain.site_model import compile_site
from loadmgr.dry_run.base_load import BaseLoad
from loadmgr.dry_run.recorded import Guestbook, RecordedVisit
from loadmgr.dry_run.recorded_load import LoadBook
from shared.contracts.evse import EvseObserved
from shared.contracts.meter import MeterSampled
from shared.contracts.site import Mode, SiteConfig
from shared.errors import ConfigError

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a decision log has seen."""

    begins: datetime
    """Second 0 of visits and base load."""
    ends: datetime
    visits: tuple[RecordedVisit, ...]
    base_load: BaseLoad
    site: SiteConfig
    """The last one in force."""

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.ends - self.begins).total_seconds() / DAY_S


class NothingRecorded(ConfigError):
    """The log holds nothing of the time that is asked for. The message says what to do."""


def recording_of(
    happenings: Iterable[Said | Sent | Configured], *, begins: datetime, ends: datetime
) -> Recording:
    """Return the recording of a time. Raises ``NothingRecorded`` when no vehicle was seen in it.

    What happened before ``begins`` is read for the site and for what the first seconds show, so
    it may be given; what happens from ``ends`` on is not read.
    """
    reader = _Reader(begins)
    for happening in happenings:
        if happening.at >= ends:
            break
        reader.take(happening)
    return reader.recording(ends)


class _Reader:
    def __init__(self, begins: datetime) -> None:
        self._begins = begins
        self._site = SiteConfig(mode=Mode.OFF)
        self._guests = Guestbook(begins)
        self._loads = LoadBook(compile_site(self._site))
        self._last = begins

    def take(self, happening: Said | Sent | Configured) -> None:
        """Take in what happened."""
        if isinstance(happening, Configured):
            self._configure(happening.site)
        elif happening.at < self._begins:
            return
        elif isinstance(happening, Sent):
            for evse_id, limit_a in happening.limit_a.items():
                self._guests.offer(evse_id, limit_a)
        else:
            self._last = happening.at
            self._hear(happening)

    def recording(self, ends: datetime) -> Recording:
        """Return everything, up to the last fact."""
        ends = min(ends, self._last + timedelta(seconds=1))
        visits = self._guests.close(ends)
        if not visits:
            raise NothingRecorded(
                "the decision log holds no vehicle of that time: wait until a day has been "
                "recorded, take another time, or have vehicles made up by POST /api/v1/what-if "
                'with "demand": "simulated"'
            )
        return Recording(
            begins=self._begins,
            ends=ends,
            visits=visits,
            base_load=self._loads.base_load(),
            site=self._site,
        )

    def _configure(self, site: SiteConfig) -> None:
        if site != self._site:
            self._site = site
            self._guests.configure(site.evses)
            self._loads.configure(compile_site(site))

    def _hear(self, said: Said) -> None:
        words = said.words
        if said.topic == EvseObserved.topic:
            self._guests.observe(words, said.at)
            outlet = self._guests.outlets.get(words["evse_id"])
            if outlet is not None:
                self._loads.draw(words["evse_id"], outlet.lines_a)
        elif said.topic == MeterSampled.topic:
            at_s = (said.at - self._begins).total_seconds()
            self._loads.sample(words["meter_id"], words["current_a"], at_s)
        else:
            self._guests.plan(words)
