"""`python -m services.portfolio`: the process of this one role."""

import sys

from nautilus_common.service import run_service

from services.portfolio.config import build

if __name__ == "__main__":
    sys.exit(run_service({"portfolio": lambda settings: build}))
