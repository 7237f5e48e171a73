"""Scalar or SIMD, this compiler or that, this processor or an interpreter: the same bits."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import wasmtime

from signals import kernel as kernel_module
from signals.kernel import KERNEL, Kernel, load_kernel
from tests.conftest import require_service
from tests.unit.signals.kernel.golden import bits, recorded

SCRIPT = "scripts/build_kernel.sh"
DEBIAN = Path("/usr/bin/rustc")
SECOND = Path(os.environ.get("BETA_SECOND_RUSTC", ".tools/rustc-web/rustc"))


def build(root: Path, out: Path, *flags: str, **env: str) -> str:
    """Build the kernel to a file and return its sha256."""
    done = subprocess.run(
        [root / SCRIPT, "--to", out, *flags],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def toolchain(repo_root) -> Path:
    has = DEBIAN.exists() and shutil.which("wasm-ld") is not None
    target = Path("/usr/lib/rustlib/wasm32-unknown-unknown")
    require_service(has and target.exists(), "rustc with wasm32 and lld")
    return repo_root


def test_the_committed_kernel_gives_the_recorded_bits() -> None:
    assert bits() == recorded()


def test_the_kernel_rebuilds_to_its_recorded_hash_in_another_folder(toolchain, tmp_path) -> None:
    version = subprocess.run(
        [DEBIAN, "--version"], capture_output=True, text=True, check=True
    ).stdout
    digest, tool = kernel_module.recorded()
    copy = tmp_path / "elsewhere"
    (copy / "scripts").mkdir(parents=True)
    shutil.copy(toolchain / SCRIPT, copy / SCRIPT)
    shutil.copytree(toolchain / "signals/wasm", copy / "signals/wasm")
    built = build(copy, tmp_path / "kernel.wasm")
    if " ".join(version.split()[:2]) == tool.split(",")[0]:
        assert built == digest
    else:  # another compiler: other bytes, same bits
        assert bits(Kernel((tmp_path / "kernel.wasm").read_bytes())) == recorded()


def test_the_scalar_build_gives_the_same_bits_as_simd(toolchain, tmp_path) -> None:
    build(toolchain, tmp_path / "scalar.wasm", "--scalar")
    assert bits(Kernel((tmp_path / "scalar.wasm").read_bytes())) == recorded()


def test_a_second_compiler_gives_the_same_bits(repo_root, tmp_path) -> None:
    rustc = SECOND if SECOND.is_absolute() else repo_root / SECOND
    if not rustc.exists():
        pytest.skip("no second compiler (scripts/second_toolchain.sh fetches one)")
    digest = build(repo_root, tmp_path / "second.wasm", RUSTC=str(rustc), LINKER="wasm-ld")
    assert digest != load_kernel().sha256
    assert bits(Kernel((tmp_path / "second.wasm").read_bytes())) == recorded()


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", [{"has_avx": "false", "has_fma": "false", "has_avx2": "false"}, None]
)
def test_other_processors_give_the_same_bits(monkeypatch, flags) -> None:
    """Compile without AVX and FMA, and for wasmtime's portable interpreter."""
    real = wasmtime.Config

    def config() -> wasmtime.Config:
        made = real()
        if flags is None:
            made.target = "pulley64"
        else:
            for flag, value in flags.items():
                made.cranelift_flag_set(flag, value)
        return made

    monkeypatch.setattr(kernel_module.wasmtime, "Config", config)
    assert bits(Kernel(KERNEL.read_bytes())) == recorded()
