"""`python -m services.execution_gateway`: the process of this one role."""

import sys

from nautilus_common.service import run_service

from services.execution_gateway.config import build

if __name__ == "__main__":
    sys.exit(run_service({"execution_gateway": lambda settings: build}))
