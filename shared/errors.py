"""The one error tree.

ParkadeError
├── ConfigError            what the operator wrote cannot work; the message says what to change
├── ProtocolViolation      a peer broke its protocol and no meaning is left
├── DeviceUnreachable      a station, meter or backend does not answer (worth another try)
├── StoreUnavailable       a database does not answer (worth another try)
├── Refused                the owner understood the order and will not do it; says why
├── NotSafe                a durable fact was not confirmed in time; the sender must keep it
├── Unroutable             nobody owns the address of an order: the station is offline
├── ReplyTimeout           the owner got the request and did not answer in time
└── HandlerFailed          the owner's handler broke; details are in its own log

Expected outcomes are values; these are for broken promises.
"""


class ParkadeError(Exception):
    """Root of all errors that Parkade raises on purpose."""

    retryable: bool = False


class ConfigError(ParkadeError):
    """Configuration that cannot work. The message tells what to change and where."""


class ProtocolViolation(ParkadeError):
    """A peer sent something that has no meaning in its protocol."""


class DeviceUnreachable(ParkadeError):
    """A device did not answer; asking again later may help."""

    retryable = True


class StoreUnavailable(ParkadeError):
    """The database did not answer; asking again later may help."""

    retryable = True


class Refused(ParkadeError):
    """The owner of the address understood and declines; the text says why."""


class NotSafe(ParkadeError):
    """A durable message was not confirmed within its time limit."""

    retryable = True


class Unroutable(ParkadeError):
    """Nobody owns the address, so the station is offline."""

    retryable = True


class ReplyTimeout(ParkadeError):
    """The request reached an owner that did not answer in time."""

    retryable = True


class HandlerFailed(ParkadeError):
    """The owner's handler raised something unexpected; its log has the details."""
