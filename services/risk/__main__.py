"""`python -m services.risk`: the process of this one role."""

import sys

from nautilus_common.service import run_service

from services.risk.config import build

if __name__ == "__main__":
    sys.exit(run_service({"risk": lambda settings: build}))
