"""What compiling asks of the machine before anything runs."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import numpy as np
from perpmaker.simulation.fast.kernel import keep_mid
times, sums, kept = np.zeros((1, 8), np.int64), np.zeros((1, 8), np.int64), np.zeros(1, np.int64)
keep_mid(times, sums, kept, 0, 1001, 5)
print(int(kept[0]), int(sums[0, 0]), "scipy.linalg" in sys.modules)
"""


def test_compiled_code_is_ready_without_the_linear_algebra_of_scipy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.split() == ["1", "1001", "False"], done.stderr
