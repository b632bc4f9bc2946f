"""The checks of a GPU, run on the processor: what they find in a step, and what they say of it."""

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks.gpu import Operation


@pytest.mark.slow
def test_checks_run_without_a_gpu_and_say_what_they_cannot_check(mirrored_strategy):
    checks = {each.name: each for each in gpu.run_checks("CPU:0", mirrored_strategy, 32, 2, depth=2)}
    unchecked = {name for name, each in checks.items() if each.verdict == "not checked: no GPU"}
    assert unchecked == {"convolutions", "gaps on the host"}
    assert {checks[name].verdict for name in checks.keys() - unchecked} == {"as expected"}, checks
    assert len(checks) == 8
    assert int(checks["convolutions"].found.split()[0]) > 0


STEP = [
    Operation("Conv2D", "GPU:0", "bfloat16"),
    Operation("FusedBatchNormV3", "GPU:0", "bfloat16"),
    Operation("FusedBatchNormGradV3", "GPU:0", "bfloat16"),
    Operation("ResourceApplyAdam", "GPU:0", "float32"),
    Operation("Recv", "GPU:0", ""),
    Operation("AddV2", "CPU:0", "int64"),
]


@pytest.mark.parametrize(
    ("change", "check", "found"),
    [
        (
            Operation("Conv2D", "CPU:0", "bfloat16"),
            gpu.check_placement,
            "elsewhere: {'Conv2D': 1}; 1 transfers",
        ),
        (Operation("MatMul", "GPU:0", "bfloat16"), gpu.check_kernels, "1 matrix products"),
    ],
)
def test_what_differs_is_told(change, check, found):
    first = "GPU:0" if check is gpu.check_placement else True
    assert check(first, STEP).verdict == "as expected"
    differing = check(first, [*STEP, change])
    assert differing.verdict == "DIFFERS" and differing.found.startswith(found)


def test_each_fused_kernel_is_looked_for():
    assert gpu.check_fused(STEP).verdict == "as expected"
    for place in (1, 2, 3):
        assert gpu.check_fused(STEP[:place] + STEP[place + 1 :]).verdict == "DIFFERS"


def test_losses_that_differ_are_told():
    def build(**settings):
        offset = 0.1 if "strategy" in settings else 0.0
        return lambda steps: {"l1_loss": np.float32([2.0 + offset] * steps)}

    assert gpu.check_replicas("strategy", build).found == "5.00%"
    assert gpu.check_replicas("strategy", build).verdict == "DIFFERS"
    assert gpu.check_determinism(False, build).verdict == "as expected"
