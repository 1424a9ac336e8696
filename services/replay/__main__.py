"""`python -m services.replay FOLDER`: the process of one replay."""

import sys

from services.replay.shell import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
