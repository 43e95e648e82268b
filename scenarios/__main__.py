"""`python -m uptheramp.scenarios` is the command line."""

from uptheramp.scenarios.cli import main

main()
