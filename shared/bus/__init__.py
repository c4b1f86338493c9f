"""The bus: a small port, and two production adapters that obey the same rules.

``port`` is what services see; ``topology`` says which queues exist; ``codec`` turns messages into
bytes; ``memory`` is one process; ``rabbit`` is RabbitMQ. ``connect`` chooses by URL.
"""
