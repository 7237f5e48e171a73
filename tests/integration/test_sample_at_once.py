"""Several processes that ask for the sample catalog at the same moment all get it."""

import os
import subprocess
import sys

import pytest

LOOK = "from core.engine.catalog.resolve import find_catalog; print(len(find_catalog('sample').markets()))"


@pytest.mark.slow
def test_who_comes_while_the_sample_is_being_made_waits_for_it(tmp_path):
    env = os.environ | {"BETA_CATALOGS": str(tmp_path / "catalogs")}
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=120) for process in asked]
    assert [process.returncode for process in asked] == [0, 0, 0], told
    assert len({out for out, _ in told}) == 1
