"""The fake Polymarket: catalogue, order book service, indexer and WebSockets over one truth."""
