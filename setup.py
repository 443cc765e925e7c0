"""Compile the data plane; everything else is in pyproject.toml.

``SLOTWAY_CFLAGS`` adds compiler and linker flags, for a sanitizer build
(see CONTRIBUTING.md).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

EXTRA = os.environ.get("SLOTWAY_CFLAGS", "").split()

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"proxy.dataplane.{source.stem}",
                [str(source)],
                extra_compile_args=["-O3", "-fno-plt", *EXTRA],
                extra_link_args=EXTRA,
            )
            for source in sorted(Path("proxy/dataplane").glob("*.pyx"))
        ],
        nthreads=os.cpu_count() or 1,
        compiler_directives={"language_level": 3, "embedsignature": True},
    )
)
