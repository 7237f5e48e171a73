"""News that the gate cannot book: what was wrong with it, and what mends it. Nothing of it is counted."""

from __future__ import annotations

from decimal import Decimal

from core.domain.errors import MarketError


def no_fill(quantity: object, price: object) -> MarketError:
    """Return the error for a fill without a positive quantity, a price and a fee."""
    what = "a fill needs a positive quantity, a price and a fee"
    return MarketError(what, (quantity, price), "ask the venue for the fill again")


def unknown_fill(client_order_id: str) -> MarketError:
    """Return the error for a fill of an order and an instrument that nobody knows."""
    what = "a fill of an unknown order and instrument"
    return MarketError(what, client_order_id, "load its market: --market")


def unknown_venue(venue: str) -> MarketError:
    """Return the error for a market of a venue that the gate was not made for."""
    what = "a market of a venue the gate does not know"
    return MarketError(
        what, venue, "name its venue when the run starts: --venue, or another --data"
    )


def no_settlement(instrument_id: str) -> MarketError:
    """Return the error for a settlement that cannot be."""
    what = "a settlement needs a known outcome and a payout"
    return MarketError(what, instrument_id, "give a loaded outcome and a payout of 0 or more")


def not_binary(market_id: str) -> MarketError:
    """Return the error for a merge or split of anything but a loaded binary market."""
    what = "only a binary market can be merged or split"
    return MarketError(what, market_id, "name a loaded market with two outcomes")


def no_position(instrument_id: str) -> MarketError:
    """Return the error for a holding that cannot be."""
    what = "a position needs a known outcome and a quantity"
    return MarketError(what, instrument_id, "load its market: --market; the quantity is above 0")


def no_amount(name: str, amount: Decimal) -> MarketError:
    """Return the error for a balance or transfer that is no number of dollars."""
    return MarketError(f"a {name} must be a number", amount, "give dollars, for example 100.25")
