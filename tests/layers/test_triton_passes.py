"""The passes of Triton: run in its interpreter, compiled for GPUs, and off unless asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ibn_seg.layers import native, single_pass

CHECKS = Path(__file__).with_name("triton_checks.py")
COMPILED = """
import inspect, sys
import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from ibn_seg.layers import triton_kernels, triton_passes
from ibn_seg.layers.passes import Plan

NAMES = {
    torch.float64: "*fp64", torch.float32: "*fp32",
    torch.float16: "*fp16", torch.bfloat16: "*bf16",
}
done = set()

class Compiled:
    "A kernel that is compiled, for what it is called with, and does not run."
    def __init__(self, kernel):
        self.kernel = kernel
    def __getitem__(self, grid):
        return self.compile
    def compile(self, *arguments, **named):
        values = inspect.signature(self.kernel.fn).bind(*arguments, **named).arguments
        signature, fixed = {}, {}
        for name, value in values.items():
            if name in named and name.isupper() or (type(value) is int and value == 1):
                signature[name], fixed[name] = "constexpr", value
            elif isinstance(value, torch.Tensor):
                signature[name] = NAMES[value.dtype]
            else:
                signature[name] = "i32" if isinstance(value, int) else "fp32"
        source = ASTSource(self.kernel, signature, fixed)
        key = (self.kernel.__name__, str(signature), str(fixed))
        if key not in done:
            assert compile(source, target=GPUTarget("cuda", 80, 32)).asm["cubin"]
            done.add(key)

for name in ("moments_of_parts", "moments_of_samples", "finish_forward", "apply", "sums_of_parts",
             "finish_backward", "gradient"):
    setattr(triton_kernels, name, Compiled(getattr(triton_kernels, name)))
triton_passes._PROGRAMS = 8
for shape, dtype, statistics, layout in (
    ((2, 8, 96, 96), torch.bfloat16, True, torch.channels_last),
    ((2, 8, 96, 96), torch.float32, True, torch.contiguous_format),
    ((1, 8, 4, 5), torch.float16, False, torch.contiguous_format),
):
    x = torch.zeros(shape, dtype=dtype).contiguous(memory_format=layout)
    tensors = [torch.ones(4)] * 6
    found = torch.ones(2, 4) if statistics else None
    plan = Plan(0, 4, 1e-5, 1e-5, statistics)
    y, moments = triton_passes.forward(x, tensors, found, plan, relu=not statistics)
    triton_passes.backward(x, y, tensors[:1] * 2, moments, plan, (True,) * 5)
print(sorted({name for name, *_ in done}))
"""


def run(*command, **environment):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_interpreter_gives_what_the_plain_layers_give(tmp_path):
    pytest.importorskip("triton")
    done = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", CHECKS,
        f"--basetemp={tmp_path / 'checks'}", TRITON_INTERPRET="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_every_kernel_compiles_for_a_gpu(tmp_path):
    """The interpreter takes what the compiler does not; no GPU is needed for the latter."""
    pytest.importorskip("triton.backends", reason="needs Triton 3 to compile without a GPU")
    done = run("-c", COMPILED, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr[-5000:]
    assert len(done.stdout.split()) == 7


@pytest.mark.parametrize(
    ("value", "devices"), [("auto", {"cpu"}), ("plain", set()), ("triton", {"cpu", "cuda"}),
                           (None, {"cpu"})]
)  # fmt: skip
def test_gpus_have_passes_only_where_the_switch_says_so(value, devices, monkeypatch):
    monkeypatch.delenv(native.SWITCH, raising=False)
    if value:
        monkeypatch.setenv(native.SWITCH, value)
    assert {device for device in ("cpu", "cuda") if native.allowed(device)} == devices


def test_without_triton_the_plain_layers_run(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "ibn_seg.layers.triton_passes", raising=False)
    monkeypatch.delitem(sys.modules, "ibn_seg.layers.triton_kernels", raising=False)
    monkeypatch.delattr("ibn_seg.layers.triton_passes", raising=False)
    single_pass._triton_passes.cache_clear()
    try:
        assert single_pass._passes(torch.device("cuda")) is None
        assert single_pass._passes(torch.device("cuda")) is None
    finally:
        single_pass._triton_passes.cache_clear()
    (record,) = caplog.records
    assert "the plain layers are used" in record.getMessage()


def test_triton_is_loaded_for_gpus_alone():
    code = """
        import sys, torch
        from ibn_seg.layers import IBN
        IBN(32)(torch.randn(2, 32, 5, 5))
        print([name for name in sys.modules if name.startswith("triton")])
    """
    done = run("-c", "\n".join(line.strip() for line in code.splitlines()), IBN_SEG_KERNEL="triton")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
