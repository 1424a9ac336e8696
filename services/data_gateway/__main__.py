"""`python -m services.data_gateway`: the process of this one role."""

import sys

from nautilus_common.service import run_service

from services.data_gateway.shell import open_gateway

if __name__ == "__main__":
    sys.exit(run_service({}, open_gateway))
