"""Install and rollback switch in one step, and leave the old bundle when anything goes wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from signals.bundle import BundleStore
from signals.bundle import store as store_module
from signals.bundle.manifest import WEIGHTS
from signals.errors import BundleAltered, BundleError, BundleUnsigned
from tests.unit.signals.bundle.conftest import DAY, NOW

WINDOW = np.ones((6, 3))


def served(store: BundleStore, now_ns: int = NOW) -> str:
    return store.open("demo", now_ns).manifest.version


def test_install_switches_and_rollback_switches_back(make, store) -> None:
    for version in ("1", "2", "3"):
        store.install(make(version), NOW)
        assert served(store) == version
    assert store.rollback("demo", NOW) == ("3", "2")
    assert store.rollback("demo", NOW) == ("2", "1")
    with pytest.raises(BundleError, match="no earlier version"):
        store.rollback("demo", NOW)
    assert served(store) == "1"
    actions = [
        json.loads(r) for r in (store.folder / "demo/history.jsonl").read_text().splitlines()
    ]
    assert [(r["action"], r["to"]) for r in actions] == [
        ("install", "1"), ("install", "2"), ("install", "3"), ("rollback", "2"), ("rollback", "1"),
    ]  # fmt: skip


def test_installing_again_what_was_rolled_back_needs_no_copy(make, store) -> None:
    one, two = make("1"), make("2")
    store.install(one, NOW)
    store.install(two, NOW)
    store.rollback("demo", NOW)
    assert store.install(two, NOW) == ("demo", "2")
    assert store.rollback("demo", NOW) == ("2", "1")


def test_installing_the_current_version_twice_keeps_the_way_back(make, store) -> None:
    store.install(make("1"), NOW)
    two = make("2")
    store.install(two, NOW)
    store.install(two, NOW)
    assert store.rollback("demo", NOW) == ("2", "1")


def test_rollback_skips_a_version_that_no_longer_verifies(make, store) -> None:
    for version in ("1", "2", "3"):
        store.install(make(version), NOW)
    weights = store.folder / "demo/2" / WEIGHTS
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert store.rollback("demo", NOW) == ("3", "1")
    assert served(store) == "1"


def test_rollback_to_an_expired_version_is_refused(make, store) -> None:
    store.install(make("1", expires_ns=NOW + DAY), NOW)
    store.install(make("2"), NOW)
    with pytest.raises(BundleError, match="no earlier version"):
        store.rollback("demo", NOW + 2 * DAY)
    assert served(store, NOW + 2 * DAY) == "2"


def test_a_bad_bundle_changes_nothing(make, store) -> None:
    store.install(make("1"), NOW)
    bad = make("2")
    (bad / WEIGHTS).write_bytes(b"")
    with pytest.raises(BundleAltered):
        store.install(bad, NOW)
    assert served(store) == "1"
    assert sorted(p.name for p in (store.folder / "demo").iterdir() if p.is_dir()) == ["1"]


def test_a_crash_before_the_switch_leaves_the_old_bundle(make, store, monkeypatch) -> None:
    store.install(make("1"), NOW)
    two = make("2")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_sync", crash)
        with pytest.raises(KeyboardInterrupt):
            store.install(two, NOW)
    assert served(store) == "1"
    assert store.install(two, NOW) == ("demo", "2")


def test_the_same_version_with_other_content_is_refused(make, store) -> None:
    store.install(make("1"), NOW)
    other = make("1", trained_until_ns=5, name="other")
    shutil.rmtree(store.folder / "other", ignore_errors=True)
    store.install(other, NOW)
    changed = make("1b", name="other")
    manifest = json.loads((changed / "manifest.json").read_text())
    assert manifest["name"] == "other"
    (store.folder / "other/1b").mkdir()
    with pytest.raises(BundleError):
        store.install(changed, NOW)


def test_a_served_bundle_that_is_altered_on_disk_gives_an_error_and_no_answer(make, store) -> None:
    store.install(make("1"), NOW)
    predictor = store.open("demo", NOW)
    before = predictor.predict(WINDOW, NOW).probability
    weights = store.current("demo") / WEIGHTS
    weights.chmod(0o644)
    weights.write_bytes(b"")
    with pytest.raises(BundleAltered):
        store.open("demo", NOW)
    assert predictor.predict(WINDOW, NOW).probability == before  # already verified, in memory


def test_a_removed_key_ends_trust(make, store, key) -> None:
    store.install(make("1"), NOW)
    (store.trust.folder / f"{key.id}.pub").unlink()
    with pytest.raises(BundleUnsigned):
        store.open("demo", NOW)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"current": "../x", "before": []}', '{"current": 1, "before": []}']
)
def test_a_broken_record_is_an_error(make, store, text) -> None:
    store.install(make("1"), NOW)
    (store.folder / "demo/active.json").write_text(text)
    with pytest.raises(BundleAltered):
        store.open("demo", NOW)


def test_the_list_says_what_is_served_and_what_is_wrong(make, store) -> None:
    for version in ("1", "2", "3"):
        store.install(make(version), NOW)
    weights = store.folder / "demo/1" / WEIGHTS
    weights.chmod(0o644)
    weights.write_bytes(b"")
    states = {r.version: (r.state, r.problem[:13]) for r in store.installed(NOW)}
    assert states == {"1": ("kept", "BundleAltered"), "2": ("previous", ""), "3": ("current", "")}
    assert all(r.problem == "BundleExpired" for r in store.installed(NOW + 91 * DAY)[1:])


def test_the_stores_own_names_cannot_be_taken(make, store) -> None:
    with pytest.raises(BundleError, match="taken by the store"):
        store.install(make("1", name="trusted"), NOW)
    with pytest.raises(BundleError, match="no bundle named"):
        store.open("absent", NOW)


@pytest.mark.parametrize("name", ["../demo", "demo/1", "/etc", "", "..", "Demo", ".lock"])
def test_a_name_that_leads_out_of_the_store_is_refused(make, store, name) -> None:
    store.install(make("1"), NOW)
    before = sorted(store.folder.parent.rglob("*"))
    for ask in (store.rollback, store.open):
        with pytest.raises(BundleError, match="not the name of a bundle") as refused:
            ask(name, NOW)
        assert refused.value.mend == "beta bundle list"
    assert sorted(store.folder.parent.rglob("*")) == before
