"""Compiled kernels that came with an image: read where they are, never written.

numba uses a cache only where it may write, and an image is read-only. So an image names `ShippedCacheLocator` before
numba's own locators (NUMBA_CACHE_LOCATOR_CLASSES) and the folder of its kernels in FLEET_KERNELS; a kernel that is not
there, such as a user's own, goes to NUMBA_CACHE_DIR as ever. Code for a baseline CPU (NUMBA_CPU_NAME=generic) runs on
every machine of its kind, and rounds alike on all of them.

    NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=$FLEET_KERNELS python -m nautilus_common.compiled    # in the image's build
"""

from __future__ import annotations

import os
import pickle
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.core import caching, config

FOLDER = "FLEET_KERNELS"
_CONFIG: Any = config  # its settings are set when it is read
_Locator: Any = caching.UserProvidedCacheLocator


def compile_all() -> list[str]:
    """Compile every kernel, which is to import it: all have signatures. The names of their modules."""
    from nautilus_common import kernels

    names = [f"{kernels.__name__}.{module.name}" for module in pkgutil.iter_modules(kernels.__path__)]
    for name in names:
        import_module(name)
    return names


class ShippedCacheLocator(_Locator):  # type: ignore[misc]
    """Finds what was compiled when the image was built, if it was made from this very source for the CPU asked for."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._cache_path = str(Path(os.environ[FOLDER]) / self.get_suitable_cache_subpath(py_file))

    def ensure_cache_path(self) -> None:
        """Nothing: it is there, and nobody writes to it."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> ShippedCacheLocator | None:
        if not os.environ.get(FOLDER) or not os.path.isfile(py_file):
            return None
        locator = cls(py_func, py_file)
        return locator if locator._fits(py_func) else None

    def _fits(self, py_func: Any) -> bool:
        """Whether an index is there whose entries numba will take; otherwise it would compile and try to write."""
        name = f"{Path(self._py_file).stem}.{py_func.__qualname__}-{self.get_disambiguator()}.py*.nbi"
        for index in Path(self._cache_path).glob(name):
            with index.open("rb") as file:
                pickle.load(file)  # numba's version, which is that of the image
                stamp, overloads = pickle.loads(file.read())
            if stamp == self.get_source_stamp() and any(key[1][1] == _CONFIG.CPU_NAME for key in overloads):
                return True
        return False


if __name__ == "__main__":
    print("compiled", *compile_all())
