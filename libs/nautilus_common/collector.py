"""How often the garbage collector looks: a run makes many objects that live to its end, and few circles of them.

Left to itself it goes through all of them again and again, the more of them there are.
"""

import gc

THRESHOLDS = (500_000, 20, 100)


def collect_rarely() -> None:
    """For the rest of the process. What exists now is not looked at again; who lets go of a run collects it."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
