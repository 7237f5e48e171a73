"""A runtime answers or raises; it never gives a stale or default number."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from signals import kernel as kernel_module
from signals.calls import Unchecked
from signals.errors import (
    FuelExhausted,
    InputShape,
    KernelError,
    KernelMismatch,
    KernelTrap,
    NonFiniteInput,
    NonFiniteOutput,
)
from signals.kernel import Kernel, load_kernel
from signals.plan import PlanBuilder
from signals.plan.assembly import GEMM
from signals.runtime import FUEL_FACTOR, Runtime
from tests.unit.signals.kernel.cases import Numbers, plan_of

X = {"x": Numbers(3)(9, 11)}
both_paths = pytest.mark.parametrize("fast", [True, False], ids=["unchecked", "checked"])


def runtime(fast: bool = True) -> Runtime:
    return Runtime(plan_of("lstm", 9, 11, 10), fast=fast)


@both_paths
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_wherever_it_stands(fast, bad) -> None:
    model = runtime(fast)
    good = model.predict(X)["y"]
    for at in [(0, 0), (8, 10), (4, 8)]:
        x = X["x"].copy()
        x[at] = bad
        with pytest.raises(NonFiniteInput, match="input x holds NaN or infinity; seen: 1 numbers"):
            model.predict({"x": x})
    assert np.array_equal(model.predict(X)["y"], good)


@both_paths
def test_an_overflow_inside_is_an_error(fast) -> None:
    b = PlanBuilder()
    x = b.input("x", 1, 4)
    b.output("y", b.mul(x, b.constant(np.full(4, 3e38, np.float32))))
    model = Runtime(b.build(), fast=fast)
    with pytest.raises(NonFiniteOutput):
        model.predict({"x": np.full((1, 4), 10.0)})
    assert model.predict({"x": np.zeros((1, 4))})["y"].tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    "inputs",
    [{}, {"z": X["x"]}, {"x": X["x"], "z": X["x"]}, {"x": X["x"][:8]}, {"x": X["x"].T}, {"x": 1.0}],
)
def test_a_wrong_name_or_shape_is_refused(inputs) -> None:
    with pytest.raises(InputShape):
        runtime().predict(inputs)


@both_paths
def test_a_call_that_wants_too_much_fuel_is_stopped_and_the_next_one_answers(fast) -> None:
    model = runtime(fast)
    good, enough = model.predict(X)["y"], model.fuel
    assert enough == FUEL_FACTOR * model.cost
    model.fuel = model.cost // 2
    with pytest.raises(FuelExhausted):
        model.predict(X)
    model.fuel = enough
    assert np.array_equal(model.predict(X)["y"], good)


@both_paths
def test_a_trap_is_an_error_and_the_next_call_runs_in_a_fresh_instance(fast) -> None:
    model = runtime(fast)
    good = model.predict(X)["y"]
    words = np.frombuffer(
        model._memory.get_buffer_ptr(model._store, 64, model._program.base), dtype=np.uint32
    )
    for broken in (99, GEMM):  # an unknown instruction; a product with the arguments of a check
        words[0] = broken
        with pytest.raises((KernelTrap, FuelExhausted)) as refused:
            model.predict(X)
        assert "backtrace" not in str(refused.value.seen)  # the cause stands below it
        assert broken != 99 or "unreachable" in str(refused.value.seen)
        assert np.array_equal(model.predict(X)["y"], good)
        words = np.frombuffer(
            model._memory.get_buffer_ptr(model._store, 64, model._program.base), dtype=np.uint32
        )


def test_a_runtime_without_the_private_call_falls_back(monkeypatch) -> None:
    from wasmtime import _bindings

    good = runtime().predict(X)["y"]
    monkeypatch.delattr(_bindings, "wasmtime_val_raw_t")
    model = runtime()
    assert not model.fast
    assert np.array_equal(model.predict(X)["y"], good)


def test_the_unchecked_call_is_refused_for_another_signature() -> None:
    import wasmtime

    store = wasmtime.Store(load_kernel().engine)
    kind = wasmtime.FuncType([wasmtime.ValType.i64()], [wasmtime.ValType.i32()])
    assert not Unchecked.available(store, wasmtime.Func(store, kind, lambda _: 0))


def test_a_runtime_belongs_to_one_thread() -> None:
    model, seen = runtime(), []

    def other() -> None:
        try:
            model.predict(X)
        except KernelError as error:
            seen.append(error.what)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == ["a runtime belongs to one thread"]


def test_answers_are_copies_and_two_runtimes_do_not_share_memory() -> None:
    one, two = runtime(), runtime()
    first = one.predict(X)["y"]
    kept = first.copy()
    two.predict({"x": X["x"] * 2})
    one.predict({"x": X["x"] * 3})
    assert np.array_equal(first, kept)


def test_memory_cannot_grow_after_the_start() -> None:
    import wasmtime

    model = runtime()
    with pytest.raises(wasmtime.WasmtimeError):
        model._memory.grow(model._store, 1)


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    model = runtime()
    good = model.predict(X)["y"].tobytes()
    for seed in range(5):
        model.predict({"x": Numbers(seed)(9, 11)})
        assert model.predict(X)["y"].tobytes() == good


def test_an_altered_or_foreign_kernel_is_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(KernelMismatch, match="another kernel is wanted"):
        load_kernel("0" * 64)
    altered = bytearray(kernel_module.KERNEL.read_bytes())
    altered[-1] ^= 1
    path = tmp_path / "kernel.wasm"
    path.write_bytes(altered)
    monkeypatch.setattr(kernel_module, "KERNEL", path)
    with pytest.raises(KernelMismatch, match="not the recorded one"):
        load_kernel.__wrapped__()
    with pytest.raises(KernelMismatch):
        Kernel(bytes(altered[:100]))


def test_a_kernel_with_imports_is_refused() -> None:
    import wasmtime

    wasm = wasmtime.wat2wasm('(module (import "env" "clock" (func (result i64))))')
    with pytest.raises(KernelMismatch, match="imports"):
        Kernel(bytes(wasm))
