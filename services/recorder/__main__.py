"""`python -m services.recorder`: the process of this one role."""

import sys

from services.recorder.shell import main

if __name__ == "__main__":
    sys.exit(main())
