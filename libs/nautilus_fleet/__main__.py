"""`python -m nautilus_fleet` is `fleet`."""

from nautilus_fleet.cli import main

raise SystemExit(main())
