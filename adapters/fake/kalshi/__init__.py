"""A Kalshi that runs on loopback: same paths, same payloads, its own truth."""
