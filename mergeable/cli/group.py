"""The commands, in the order in which a new user needs them."""

from __future__ import annotations

import click

from mergeable.cli.check import check
from mergeable.cli.command import Group
from mergeable.cli.demo import demo
from mergeable.cli.inspect import inspect
from mergeable.cli.merge import merge
from mergeable.cli.plot import plot
from mergeable.cli.show import show
from mergeable.cli.verify import verify
from mergeable.version import __version__

_STATUS = """\
Exit status: 0 good; 1 bad data, or a command that failed; 2 wrong usage. MERGEABLE_TRACEBACK=1 in the environment shows where
an error of your own code was raised."""


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_STATUS)
@click.version_option(__version__, prog_name="mergeable", message="%(prog)s %(version)s")
def mergeable() -> None:
    """Metrics that merge: put snapshot files together, and look at what they hold."""


for _command in (demo, merge, show, inspect, verify, plot, check):
    mergeable.add_command(_command)
