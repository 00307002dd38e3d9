"""``mergeable plot``: a picture of what a file holds."""

from __future__ import annotations

import io
from typing import Any

import click

from mergeable.cli import options
from mergeable.cli.command import Command, Failure, in_options, sentence
from mergeable.cli.files import files_of, means_several, read_file
from mergeable.cli.named import import_all
from mergeable.cli.printing import write_table
from mergeable.plot import KINDS, possible
from mergeable.snapshot import disk
from mergeable.snapshot.contents import contents
from mergeable.wording import shown

_DPI = 150


@click.command(
    cls=Command,
    short_help="Draw what a snapshot file holds.",
    examples=(
        "mergeable plot all.mg --list",
        "mergeable plot all.mg -o roc.png",
        "mergeable plot all.mg -o matrix.svg --kind 'confusion matrix' --size 8x8",
    ),
)
@click.argument("path")
@click.option("-o", "--output", metavar="PICTURE", help="The file to write: .png, .svg, .pdf or another that matplotlib knows.")
@click.option("--kind", type=click.Choice(KINDS), help="What to draw. Default: what the metric names first, or what fits.")
@click.option("--state", metavar="NAME", help="The state to draw, or a part of one.")
@click.option("--list", "listing", is_flag=True, help="Write what can be drawn, the best first, and draw nothing.")
@click.option("--size", metavar="WxH", help="Width and height in inches, as in 8x6. Default: what fits.")
@click.option("--dpi", type=click.IntRange(min=10, max=2000), default=_DPI, show_default=True, help="Dots in an inch.")
@options.allow_pickle
@options.modules
def plot(
    *,
    path: str,
    output: str | None,
    kind: str | None,
    state: str | None,
    listing: bool,
    size: str | None,
    dpi: int,
    allow_pickle: bool,
    modules: tuple[str, ...],
) -> None:
    """Draw what a snapshot file holds: a confusion matrix, an ROC curve, a histogram and others.

    What can be drawn depends on the states; --list says it. Several files are merged first, by mergeable merge.
    """
    if output is None and not listing:
        raise click.UsageError("Missing option '-o' / '--output', or --list.")
    inches = None if size is None else _inches(size)
    import_all(modules)
    if means_several(path) and len(files_of([path])) > 1:
        raise Failure(f"{path}: these are several files, expected one. Merge them first: mergeable merge {path} -o all.mg")
    (file,) = files_of([path])
    _, snapshot = read_file(file, allow_pickle=allow_pickle)
    if listing or output is None:
        declared = [*contents(snapshot).description.plots.items()]
        pairs = possible(snapshot.states)
        best = [pair for pair in declared if pair in pairs]
        rows = [(*pair, "yes" if pair in best else "") for pair in dict.fromkeys([*best, *pairs])]
        write_table(("kind", "state", "named by the metric"), rows)
        return
    try:
        axes = snapshot.plot(kind, state)
    except (ValueError, ImportError) as error:
        raise Failure(in_options(str(error)).replace("plot: ", f"{file}: ", 1)) from error
    figure: Any = axes.figure
    if inches is not None:
        figure.set_size_inches(*inches)
    _save(figure, output, dpi)


def _inches(size: str) -> tuple[float, float]:
    try:
        width, height = map(float, size.lower().split("x"))
    except ValueError:
        width = height = 0.0
    if not (0.5 <= width <= 100 and 0.5 <= height <= 100):
        raise click.BadParameter(f"got {shown(size)}, expected width x height in inches, as in 8x6.", param_hint="--size")
    return width, height


def _save(figure: Any, output: str, dpi: int) -> None:
    """Write the picture when all of it was drawn."""
    picture = io.BytesIO()
    target = disk.local(output, "plot")
    kind = "png" if disk.is_written_into(target) else target.suffix.removeprefix(".").lower()
    try:
        figure.savefig(picture, format=kind or "png", dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    except ValueError as error:  # of a format that matplotlib does not know
        raise Failure(f"{output}: {error}") from error
    try:
        disk.write(output if kind else f"{output}.png", picture.getvalue(), "plot")
    except OSError as error:
        raise Failure(sentence(error, output)) from error
