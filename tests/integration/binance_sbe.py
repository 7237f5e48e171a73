"""Binance spot's list of instruments in its binary form (SBE schema 3, version 5), for a stand-in on loopback.

Written from the published schema: little-endian, each message with a header of block length, template, schema and
version; groups count their entries; texts carry their length in one byte.
"""

import struct

SCHEMA, VERSION = 3, 5
EXCHANGE_INFO, PRICE_FILTER, LOT_SIZE = 103, 1, 4
TRADING, LIMIT_AND_MARKET = 0, 0b11


def message(template: int, block: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<HHHH", len(block), template, SCHEMA, VERSION) + block + rest


def group(block_length: int, entries: list[bytes]) -> bytes:
    return struct.pack("<HI", block_length, len(entries)) + b"".join(entries)


def text(value: str) -> bytes:
    return struct.pack("<B", len(value)) + value.encode()


def step_filter(template: int, exponent: int, least: int, most: int, step: int) -> bytes:
    """A price or size filter: mantissas at one decimal exponent, as a message inside a message."""
    inner = message(template, struct.pack("<bqqq", exponent, least, most, step))
    return struct.pack("<B", len(inner)) + inner


def exchange_info() -> bytes:
    """BTCUSDT with a tick of 0.01 and a size step of 0.00001."""
    precisions = struct.pack("<BBBBB", TRADING, 8, 8, 8, 8)
    switches = bytes([1, 1, 1, 1, 1, 1, 1, 1, 0])  # iceberg ... spot trading; no margin
    block = precisions + struct.pack("<H", LIMIT_AND_MARKET) + switches + bytes([0, 1, 0])
    filters = [
        step_filter(PRICE_FILTER, -8, 1_000_000, 100_000_000_000_000, 1_000_000),
        step_filter(LOT_SIZE, -8, 1_000, 900_000_000_000, 1_000),
    ]
    permissions = group(0, [group(0, [text("SPOT")])])
    symbol = block + group(0, filters) + permissions + text("BTCUSDT") + text("BTC") + text("USDT")
    rest = group(11, []) + group(0, []) + group(len(block), [symbol]) + group(0, [])
    return message(EXCHANGE_INFO, b"", rest)
