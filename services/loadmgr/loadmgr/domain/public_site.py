"""The site without what load management does not need and nobody else is to read in its log."""

from urllib.parse import urlsplit, urlunsplit

from shared.contracts.site import Backend, Evse, SiteConfig, Station

HIDDEN = "***"


def public_site(site: SiteConfig) -> SiteConfig:
    """Return a site that decides exactly alike: no passwords, keys, tokens or certificates.

    Whether an EVSE has a backend stays, because then it needs a permission (S25).
    """
    server = site.ocpp_server.model_copy(update={"password_hash": None})
    return site.model_copy(
        update={
            "ocpp_server": server,
            "tokens": (),
            "stations": tuple(_public_station(station) for station in site.stations),
            "evses": tuple(_public_evse(evse) for evse in site.evses),
        }
    )


def _public_station(station: Station) -> Station:
    """OCPP keys may hold secrets (AuthorizationKey), so none of them is kept."""
    return station.model_copy(
        update={
            "password_hash": None,
            "next_password_hash": None,
            "certificate_fingerprint": None,
            "configuration": {},
        }
    )


def _public_evse(evse: Evse) -> Evse:
    token = None if evse.fixed_token is None else HIDDEN
    backend = None if evse.backend is None else _public_backend(evse.backend)
    return evse.model_copy(update={"fixed_token": token, "backend": backend})


def _public_backend(backend: Backend) -> Backend:
    parts = urlsplit(backend.url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return Backend(url=address, client_id=backend.client_id)
