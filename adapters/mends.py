"""What mends what a venue sent: the same words wherever its message cannot be used."""

from __future__ import annotations

#: News of a running feed: the node mends its books by itself.
NEWS_MEND = "none needed: the message is dropped and the books are asked for again (beta ledger tail --kind feed.state); if it stays, update beta-trader"
#: A payload whose fields are not those of the venue's documents.
SHAPE_MEND = "update beta-trader: the venue changed its interface; if this is the newest, report it"
LIMIT_MEND = "send fewer orders: the pause that the venue asks for is kept; nothing was done there"
#: A cancel of an order that is no longer working.
GONE_MEND = "none needed: the order is looked up and its fills are booked"
