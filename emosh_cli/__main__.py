"""`python -m emosh_cli`: the same as the `emosh` command."""

from emosh_cli.app import main

main()
