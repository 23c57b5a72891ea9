"""`python -m madi`: the same command, for launchers that start a module (`torchrun -m madi train run ...`)."""

import sys

from madi.cli import main

sys.exit(main())
