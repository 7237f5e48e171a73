"""A venue of our own: exact matching, cash and settlement, used by paper trading and by the fake venues."""
