"""`python -m rh_lens`, the same as `rh-lens`."""

import sys

from rh_lens.cli import main

sys.exit(main())
