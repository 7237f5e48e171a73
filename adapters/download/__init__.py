"""Download public history: bounded rate, retries, every page on disk before it counts, resumable at any point."""

from adapters.download.client import NotFound, PublicClient, Retry
from adapters.download.limits import TokenBucket
from adapters.download.run import Download, Outcome
from adapters.download.store import RawStore, StoredRow
from adapters.download.unit import Page, Source, Unit

__all__ = [
    "Download",
    "NotFound",
    "Outcome",
    "Page",
    "PublicClient",
    "RawStore",
    "Retry",
    "Source",
    "StoredRow",
    "TokenBucket",
    "Unit",
]
