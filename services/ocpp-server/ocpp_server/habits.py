"""What is remembered of stations while this replica runs: who they are, and what works with them.

Nothing here must survive: it is learned again within one connection.
"""

import logging
from dataclasses import dataclass, field

from ocpp_server.domain.model import (
    UNKNOWN_MODEL,
    BootTrigger,
    Identity,
    Model,
    Purpose,
    recognise,
)
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.site_view import SiteView
from ocpp_server.model_files import load_models

logger = logging.getLogger(__name__)

FORMS_LIMIT = 20_000
"""Ways that are remembered; the oldest are forgotten first."""

BOOT_ASKED_FOR_S = 600.0
"""A station that was asked to boot and comes back within that is not asked again: some restart on
being asked (field notes 5.1, 7)."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model and the name of its file; the name is empty where no file fits."""

    name: str
    model: Model


_NOBODY = NamedModel("", UNKNOWN_MODEL)
FormKey = tuple[str, Identity | str]
"""(model, station) or (model, identity): another model file makes what was learned void."""


@dataclass(slots=True)
class Habits:
    """The memory of habits, by station and by model."""

    _identities: dict[str, Identity] = field(default_factory=dict)
    _recognised: dict[str, str | None] = field(default_factory=dict)
    """Station -> the name of its model file, as it introduced itself."""
    _misnamed: set[tuple[str, str]] = field(default_factory=set)
    _forms: dict[FormKey, Form] = field(default_factory=dict)
    _boot_asked: dict[str, float] = field(default_factory=dict)

    def introduced(self, station_id: str, identity: Identity) -> None:
        """A station has told what it is."""
        self._identities[station_id] = identity
        self._recognised[station_id] = recognise(load_models(), identity)

    def model_of(self, station_id: str, view: SiteView) -> NamedModel:
        """Return a station's model: as the site names it, else as it introduced itself."""
        models = load_models()
        configured = view.station(station_id)
        if configured is not None and configured.model is not None:
            if configured.model in models:
                return NamedModel(configured.model, models[configured.model])
            self._complain(station_id, configured.model)
        name = self._recognised.get(station_id)
        return _NOBODY if name is None else NamedModel(name, models[name])

    def form_of(self, station_id: str, model: str) -> Form | None:
        """Return the way of telling limits that worked for this station, or for its like."""
        own = self._forms.get((model, station_id))
        identity = self._identities.get(station_id)
        return own or (None if identity is None else self._forms.get((model, identity)))

    def form_worked(self, station_id: str, model: str, form: Form) -> None:
        """A station took a limit in this way. What needs a transaction is no way to begin with."""
        if form.purpose is Purpose.TX:
            return
        self._remember((model, station_id), form)
        identity = self._identities.get(station_id)
        if identity is not None:
            self._remember((model, identity), form)

    def may_ask_to_boot(self, station_id: str, model: Model, now: float) -> bool:
        """Tell whether to ask for a BootNotification, and remember that it was asked for."""
        if model.boot_trigger is BootTrigger.NEVER:
            return False
        asked = self._boot_asked.get(station_id)
        self._boot_asked[station_id] = now
        return asked is None or now - asked >= BOOT_ASKED_FOR_S

    def forget(self, station_id: str) -> None:
        """The site does not list this station any more."""
        self._identities.pop(station_id, None)
        self._recognised.pop(station_id, None)
        self._boot_asked.pop(station_id, None)
        for key in [key for key in self._forms if key[1] == station_id]:
            del self._forms[key]

    def _remember(self, key: FormKey, form: Form) -> None:
        self._forms.pop(key, None)
        if len(self._forms) >= FORMS_LIMIT:
            del self._forms[next(iter(self._forms))]
        self._forms[key] = form

    def _complain(self, station_id: str, model: str) -> None:
        if (station_id, model) not in self._misnamed:
            self._misnamed.add((station_id, model))
            logger.warning("%s is to be a %s, but there is no such model file", station_id, model)
