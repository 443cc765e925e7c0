"""Fuzzing: hypothesis draws bytes, a target makes a case of them and judges it.

``HYPOTHESIS_PROFILE=fuzz`` looks for new cases, many more of them; ``make fuzz`` does that, and
then runs each target with coverage (``run_fuzz.py``).
"""

from borrow import borrow

borrow()
