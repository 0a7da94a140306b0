"""`python -m rnas`, and with it `torchrun -m rnas`: the command line."""

import sys

from rnas.cli import main

sys.exit(main())
