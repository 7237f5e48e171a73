"""A bundle is served only if nothing about it is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from core.domain.errors import ConfigError
from signals.bundle import (
    SigningKey,
    TrustStore,
    load_predictor,
    read_bundle,
    sign_bundle,
    write_bundle,
)
from signals.bundle.manifest import FILES, GOLDEN, MANIFEST, SIGNATURE, WEIGHTS
from signals.errors import (
    BundleAltered,
    BundleError,
    BundleExpired,
    BundleGolden,
    BundleIncompatible,
    BundleUnsigned,
    FeatureMismatch,
    SignalError,
)
from signals.features.spec import FeatureSet, FeatureSpec
from tests.unit.signals.bundle.conftest import DAY, NOW, draft


def rewrite(folder: Path, key: SigningKey, change) -> None:
    """Change the manifest and sign it again: what an honest but wrong builder would ship."""
    path = folder / MANIFEST
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    sign_bundle(folder, key)


def replace_payload(folder: Path, key: SigningKey, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    rewrite(folder, key, lambda m: m["files"].update({name: digest}))


def test_a_good_bundle_is_read_and_says_what_it_is(make, store, key) -> None:
    bundle = read_bundle(make(), store.trust, NOW)
    assert bundle.signed_by == key.id
    assert bundle.manifest.feature_names == ("log_return", "spread", "imbalance")
    assert bundle.plan.input_shapes() == {"x": (6, 3)}
    assert len(bundle.golden["input.x"]) == 8


def test_without_a_signature_it_is_refused(make, store) -> None:
    folder = make()
    (folder / SIGNATURE).unlink()
    with pytest.raises(BundleUnsigned, match="carries no signature"):
        read_bundle(folder, store.trust, NOW)


def test_a_signature_by_another_key_is_refused(make, store, tmp_path) -> None:
    folder = make()
    sign_bundle(folder, SigningKey.generate(tmp_path / "stranger.key"))
    with pytest.raises(BundleUnsigned, match="not trusted"):
        read_bundle(folder, store.trust, NOW)


def test_a_strangers_signature_under_a_trusted_name_is_refused(make, store, key, tmp_path) -> None:
    folder = make()
    sign_bundle(folder, SigningKey.generate(tmp_path / "stranger.key"))
    document = json.loads((folder / SIGNATURE).read_text())
    (folder / SIGNATURE).write_text(json.dumps(document | {"key": key.id}))
    with pytest.raises(BundleUnsigned, match="does not match"):
        read_bundle(folder, store.trust, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"algorithm": "rsa", "key": "a", "signature": ""}',
        b'{"algorithm": "ed25519", "key": "../../key", "signature": "00"}',
        b'{"algorithm": "ed25519", "key": 7, "signature": "00"}',
    ],
)
def test_a_signature_that_makes_no_sense_is_refused(make, store, signature) -> None:
    folder = make()
    (folder / SIGNATURE).write_bytes(signature)
    with pytest.raises(BundleUnsigned):
        read_bundle(folder, store.trust, NOW)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_noticed(make, store, tmp_path, data) -> None:
    folder = tmp_path / "bundle-1-demo"
    folder = folder if folder.exists() else make()
    name = data.draw(st.sampled_from(FILES))
    good = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(bad)
    try:
        if name != SIGNATURE:
            with pytest.raises((BundleAltered, BundleUnsigned)):
                read_bundle(folder, store.trust, NOW)
        else:  # white space around the signature may change; its bytes may not
            with contextlib.suppress(BundleUnsigned):
                assert read_bundle(folder, store.trust, NOW).manifest.name == "demo"
    finally:
        (folder / name).write_bytes(good)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_missing_file_is_refused(make, store, name) -> None:
    folder = make()
    good = (folder / name).read_bytes()
    (folder / name).write_bytes(good[: len(good) // 2])
    with pytest.raises(BundleError):
        read_bundle(folder, store.trust, NOW)
    (folder / name).unlink()
    with pytest.raises(BundleError):
        read_bundle(folder, store.trust, NOW)


def test_an_extra_file_or_a_link_is_refused(make, store, tmp_path) -> None:
    folder = make()
    (folder / "model.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(BundleAltered, match="extra"):
        read_bundle(folder, store.trust, NOW)
    (folder / "model.pkl").unlink()
    outside = tmp_path / "outside"
    outside.write_bytes((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(outside)
    with pytest.raises(BundleAltered, match="plain file"):
        read_bundle(folder, store.trust, NOW)


def test_an_expired_bundle_is_refused_at_load_and_while_in_use(make, store) -> None:
    folder, end = make(), NOW + 90 * DAY
    with pytest.raises(BundleExpired):
        read_bundle(folder, store.trust, end)
    predictor = load_predictor(folder, store.trust, end - 1)
    window = np.zeros((6, 3))
    predictor.predict(window, end - 1)
    with pytest.raises(BundleExpired):
        predictor.predict(window, end)


def test_a_bundle_for_another_kernel_is_refused(make, store, key) -> None:
    folder = make()
    rewrite(folder, key, lambda m: m.update(kernel_sha256="0" * 64))
    with pytest.raises(BundleIncompatible, match="another kernel"):
        read_bundle(folder, store.trust, NOW)


def shapes(manifest: dict) -> None:
    manifest["plan"]["shapes"][0] = [7, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format=2),
        lambda m: m.update(name="../up"),
        lambda m: m.update(version=""),
        lambda m: m.update(surprise=1),
        lambda m: m.update(feature_names=["one"]),
        lambda m: m.update(expires_ns=1),
        lambda m: m["files"].update({"x": "0" * 64}),
        lambda m: m["plan"].update(version=9),
        lambda m: m["model"].update(lookback=7),
        lambda m: m["plan"]["nodes"][0].update(op="system"),
        shapes,
    ],
)
def test_a_signed_manifest_that_does_not_fit_is_refused(make, store, key, change) -> None:
    folder = make()
    rewrite(folder, key, change)
    with pytest.raises(BundleIncompatible) as refused:
        read_bundle(folder, store.trust, NOW)
    assert len(str(refused.value.seen)) < 200  # the place and the reason, not the whole manifest


def test_weights_of_another_type_or_number_are_refused(make, store, key) -> None:
    folder = make()
    weights = load((folder / WEIGHTS).read_bytes())
    name = next(iter(weights))
    for bad in (weights[name].astype(np.float64), weights[name] * np.float32(np.inf)):
        replace_payload(folder, key, WEIGHTS, save(weights | {name: bad}))
        with pytest.raises(BundleIncompatible):
            read_bundle(folder, store.trust, NOW)
    replace_payload(folder, key, WEIGHTS, b"not safetensors")
    with pytest.raises(BundleAltered):
        read_bundle(folder, store.trust, NOW)


def test_golden_vectors_must_come_out_bit_for_bit(make, store, key) -> None:
    folder = make()
    golden = load((folder / GOLDEN).read_bytes())
    bits = golden["kernel.y"].view(np.uint32).copy()
    bits[3, 0, 0] ^= 1
    replace_payload(folder, key, GOLDEN, save(golden | {"kernel.y": bits.view(np.float32)}))
    with pytest.raises(BundleGolden, match="differs in bits"):
        load_predictor(folder, store.trust, NOW)


def test_a_plan_that_is_not_the_trained_model_is_never_written(tmp_path) -> None:
    wrong = draft(reference={"y": np.zeros((8, 1, 1), np.float32)})
    with pytest.raises(BundleGolden, match="kernel and trained model differ"):
        write_bundle(wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_features_or_another_order_are_refused(make, store) -> None:
    kinds = ("log_return", "log_return", "log_return")
    right, swapped = (
        FeatureSet(
            features=tuple(FeatureSpec(name=n, kind=k) for n, k in zip(names, kinds, strict=True))
        )
        for names in (("log_return", "spread", "imbalance"), ("spread", "log_return", "imbalance"))
    )
    folder = make()
    load_predictor(folder, store.trust, NOW, right).require_features(right)
    with pytest.raises(FeatureMismatch):
        load_predictor(folder, store.trust, NOW, swapped)
    other = right.model_copy(update={"interval_ns": 60_000_000_000})
    folder = make("2", features=right)
    with pytest.raises(FeatureMismatch):
        load_predictor(folder, store.trust, NOW, other)


def test_an_answer_is_calibrated_and_lies_in_its_interval(make, store) -> None:
    predictor = load_predictor(make(), store.trust, NOW)
    window = np.ones((6, 3))
    answer = predictor.predict(window, NOW)
    raw = 1 / (1 + np.exp(-float(answer.raw[0, 0])))
    log_odds = 0.5 * np.log(raw / (1 - raw)) + 0.1
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-log_odds)))
    assert answer.low == pytest.approx(1 / (1 + np.exp(-log_odds + 0.7)))
    assert answer.low < answer.probability < answer.high
    assert predictor.model_id == "demo@1"


@pytest.mark.parametrize(
    "window", [np.full((6, 3), np.nan), np.zeros((5, 3)), np.zeros((6, 4)), np.zeros(18), None, "x"]
)
def test_a_window_that_cannot_be_used_gives_no_answer(make, store, window) -> None:
    predictor = load_predictor(make(), store.trust, NOW)
    with pytest.raises(SignalError):
        predictor.predict(window, NOW)


def test_nothing_in_a_bundle_is_pickled(make) -> None:
    for path in make().iterdir():
        assert not path.read_bytes().startswith(b"\x80"), path.name


def test_a_private_key_is_private(tmp_path, key) -> None:
    path = tmp_path / "bundle.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).id == key.id
    assert path.read_text() not in repr(key)
    with pytest.raises(ConfigError, match="cannot write a new key"):
        SigningKey.generate(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        SigningKey.load(path)
    for bad in (b"", b"nothing"):
        other = tmp_path / f"bad-{len(bad)}"
        other.write_bytes(bad)
        os.chmod(other, 0o600)  # noqa: PTH101
        with pytest.raises(ConfigError):
            SigningKey.load(other)
    with pytest.raises(ConfigError):
        SigningKey.load(tmp_path / "absent")


def test_a_trusted_file_with_another_key_inside_is_refused(make, store, key, tmp_path) -> None:
    stranger = SigningKey.generate(tmp_path / "stranger.key")
    other = TrustStore(tmp_path / "elsewhere").add(stranger.public)
    (store.trust.folder / f"{key.id}.pub").write_bytes(other.read_bytes())
    with pytest.raises(BundleUnsigned, match="does not hold the key"):
        read_bundle(make(), store.trust, NOW)
