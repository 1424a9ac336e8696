"""`python -m services.strategy_host`: the process of this one role."""

import sys

from nautilus_common.service import run_service

from services.strategy_host.config import builder

if __name__ == "__main__":
    sys.exit(run_service({"strategy_host": builder}))
