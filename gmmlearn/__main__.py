"""What ``python -m gmmlearn`` runs."""

import sys

from gmmlearn.command import main

if __name__ == "__main__":
    sys.exit(main())
