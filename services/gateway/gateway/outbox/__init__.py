"""What backends still have to receive, and what each side calls a transaction."""

from gateway.outbox.box import Batch, Outbox, open_outbox
from gateway.outbox.records import Counts, Outgoing, Queued, Slot, State, Transaction

__all__ = [
    "Batch",
    "Counts",
    "Outbox",
    "Outgoing",
    "Queued",
    "Slot",
    "State",
    "Transaction",
    "open_outbox",
]
