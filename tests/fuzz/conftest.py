"""Fuzzing: hypothesis draws bytes, a target makes a case of them and judges it.

``HYPOTHESIS_PROFILE=fuzz`` looks for new cases, many more of them; ``make fuzz`` does that, and
then runs each target with coverage (``run_fuzz.py``).
"""

from collections.abc import Iterator

import pytest
from borrow import borrow

borrow()

from fuzz_proxies import end_proxy  # noqa: E402  it needs what is borrowed


@pytest.fixture(autouse=True)
def _no_proxy_lives_on() -> Iterator[None]:
    yield
    end_proxy()
