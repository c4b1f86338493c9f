"""OCPP 1.6: the only place of the OCPP server that knows its actions and the ``ocpp`` package."""
