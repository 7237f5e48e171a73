"""History import: raw recordings to catalogs, with a report that says what can be trusted."""

from adapters.history.issues import Fate, Issue, IssueLog
from adapters.history.job import IngestJob, Progress
from adapters.history.report import Check, IngestReport

__all__ = ["Check", "Fate", "IngestJob", "IngestReport", "Issue", "IssueLog", "Progress"]
