"""Shared fixtures: real recordings and payloads beside the repository, and no way out to the internet."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from pathlib import Path

import pytest
from hypothesis import settings

# A suite that was started in the background inherits an ignored SIGINT, and so would every process it starts:
# the tests of Ctrl-C could then not fail, or not pass.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


# A busy machine is slow, not wrong: no property test fails on its time. The same examples on every run, so that a
# red suite says something of the change; `pytest --hypothesis-profile explore` looks for new ones.
settings.register_profile("beta", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("beta")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings; the test is skipped where it is absent."""
    path = SHARED / "data"
    if not path.is_dir():
        pytest.skip("real recordings (../shared/data) are not beside this checkout")
    return path


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """Folder of real API payloads; the test is skipped where it is absent."""
    path = SHARED / "fixtures"
    if not path.is_dir():
        pytest.skip("recorded payloads (../shared/fixtures) are not beside this checkout")
    return path


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Root of this checkout."""
    return ROOT


def _loopback(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0]) if isinstance(address, tuple) else ""
            if not _loopback(host):
                raise OSError(f"tests must not reach {host}")
        real(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)


def require_service(available: bool, name: str) -> None:
    """Skip without a service, but fail in CI, where it must be there."""
    if not available:
        if os.environ.get("BETA_CI"):
            pytest.fail(f"{name} is missing: run scripts/setup.sh services")
        pytest.skip(f"{name} is not installed (scripts/setup.sh services)")
