"""What the OCPP server must not forget: epochs, transactions, signed values, unconfirmed facts."""

from ocpp_server.ledger.claims import Claim
from ocpp_server.ledger.ledger import Ledger
from ocpp_server.ledger.records import (
    Start,
    StopText,
    StoredEvent,
    Transaction,
)

__all__ = ["Claim", "Ledger", "Start", "StopText", "StoredEvent", "Transaction"]
