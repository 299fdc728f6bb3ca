"""Figures and pages of measured lenses: one sheet, one corner plot, one page each, one of all."""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stronglens.lensing.caustics import cut, tangential_caustic, tangential_critical_curve
from stronglens.measurement.arc_evidence import sie_shear
from stronglens.measurement.lens_record import LensRecord
from stronglens.measurement.refine import Refined
from stronglens.plots.corner import corner
from stronglens.plots.lens_panels import LensSheet, lens_panels

_SHEET, _CORNER = "model.png", "corner.png"
_LABELS = {
    "theta_e": "theta_e [arcsec]", "e1": "e1", "e2": "e2", "x_center": "x [arcsec]",
    "y_center": "y [arcsec]", "gamma1": "gamma1", "gamma2": "gamma2", "slope": "slope",
}  # fmt: skip
_UNITS = {
    "theta_e": "arcsec", "theta_e_effective": "arcsec", "x_center": "arcsec", "y_center": "arcsec",
    "beta_x": "arcsec", "beta_y": "arcsec", "log_r_source": "ln arcsec",
}  # fmt: skip
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:1500px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;"
    "text-align:right}td:first-child,th:first-child{text-align:left}img{max-width:100%}"
    ".verified{color:#00694a}.refined{color:#8a5a00}.network-only{color:#8a5a00}"
    ".rejected{color:#a33}"
)


def draw_lens(folder: Path, record: LensRecord, refined: Refined) -> list[str]:
    """Draw the sheet and, unless it was rejected, the corner plot of a lens.

    Args:
        folder: Where the figures go.
        record: Its row.
        refined: Its posterior.

    Returns:
        Names of the files.
    """
    title = f"{record.name}: {record.verdict}"
    lens_panels(lens_sheet(refined), title=title).savefig(folder / _SHEET)
    if record.verdict == "rejected":
        return [_SHEET]
    draws = {label: refined.draws[name] for name, label in _LABELS.items()}
    corner(draws, title=title).savefig(folder / _CORNER)
    return [_SHEET, _CORNER]


def lens_sheet(refined: Refined) -> LensSheet:
    """Pictures of the best model of a posterior.

    Args:
        refined: A posterior with a stage and a minimum.
    """
    stage, best = refined.stage, refined.minima[0].solution
    if stage is None:
        message = "there is no stage without an image"
        raise ValueError(message)
    inversion, frame = stage.inversion, stage.frame
    sigma = np.where(frame.image.is_good, frame.image.sigma, np.nan)
    data = frame.image.flux / sigma
    planes = []
    for values in (inversion.without_light(best), best.source_image, best.residual):
        plane = np.full(frame.x.shape, np.nan)
        plane[inversion.region.is_fitted] = values
        planes.append(plane)
    half = 0.5 * frame.image.pixel_scale
    ends = (frame.x.min() - half, frame.x.max() + half, frame.y.min() - half, frame.y.max() + half)
    window, step = best.window, 0.5 * best.window.step(inversion.n_side)
    reach = window.half_width + step
    lens = sie_shear(best)
    curves = [tangential_critical_curve(lens), tangential_caustic(lens), cut(lens)]
    critical, caustic, radial = ((x[0].numpy(), y[0].numpy()) for x, y in curves)
    return LensSheet(
        image=data, arcs=planes[0], model_arcs=planes[1], residual=planes[2],
        source=best.source.reshape(inversion.n_side, -1),
        extent=(float(ends[0]), float(ends[1]), float(ends[2]), float(ends[3])),
        source_extent=(window.x - reach, window.x + reach, window.y - reach, window.y + reach),
        critical=(critical,), caustics=(caustic, radial),
    )  # fmt: skip


def write_lens_page(path: Path, record: LensRecord, figures: Sequence[str]) -> None:
    """Write the page of one lens.

    Args:
        path: The HTML file.
        record: Its row.
        figures: Files beside it.
    """
    name = html.escape(record.name)
    body = [f"<h1>{name}: <span class='{record.verdict}'>{record.verdict}</span></h1>"]
    body += [_list("Why", record.reasons), _list("Assumed", record.remarks)]
    body += [f"<p><img src='{file}' alt='{file}'></p>" for file in figures]
    for heading, values in (("Refined", record.refined), ("Network", record.network)):
        if values:
            body.append(f"<h2>{heading}</h2>{_values(values)}")
    if record.diagnostics:
        rows = "".join(
            f"<tr><td>{key}</td><td>{_number(value)}</td></tr>"
            for key, value in record.diagnostics.items()
        )
        body.append(f"<h2>Diagnostics</h2><table>{rows}</table>")
    body.append(f"<p>{record.seconds:.1f} s; input {html.escape(record.path)}</p>")
    _write_page(path, record.name, body)


def write_table_page(path: Path, records: Sequence[LensRecord], folders: Sequence[str]) -> None:
    """Write the page with the table of all lenses.

    Args:
        path: The HTML file.
        records: One per lens.
        folders: Folder of each.
    """
    heads = ("lens", "verdict", "theta_e [arcsec]", "e1", "e2", "gamma1", "gamma2", "chi2",
             "k-hat", "effective", "s", "why")  # fmt: skip
    rows = []
    for record, folder in zip(records, folders, strict=False):
        cells = [f"<a href='{folder}/page.html'>{html.escape(record.name)}</a>"]
        cells.append(f"<span class='{record.verdict}'>{record.verdict}</span>")
        cells += [_interval(record.refined.get(key)) for key in
                  ("theta_e", "e1", "e2", "gamma1", "gamma2")]  # fmt: skip
        found = record.diagnostics
        cells += [_number(found.get(key, math.nan)) for key in
                  ("chi2", "k_hat", "effective_sample_size")]  # fmt: skip
        cells += [f"{record.seconds:.1f}", html.escape("; ".join(record.reasons))]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "<tr>" + "".join(f"<th>{text}</th>" for text in heads) + "</tr>"
    _write_page(
        path, "Measured lenses", [f"<h1>Measured lenses</h1><table>{head}{''.join(rows)}</table>"]
    )


def _write_page(path: Path, title: str, body: Sequence[str]) -> None:
    head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{_STYLE}</style>"
    path.write_text(f"<!doctype html>{head}{''.join(body)}\n", encoding="utf-8")


def _list(heading: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<p>{heading}:</p><ul>{items}</ul>" if lines else ""


def _values(values: Mapping[str, tuple[float, float, float]]) -> str:
    rows = "".join(
        f"<tr><td>{name}{f' [{_UNITS[name]}]' if name in _UNITS else ''}</td>"
        f"<td>{middle:.4f}</td><td>{low:.4f}</td><td>{high:.4f}</td></tr>"
        for name, (middle, low, high) in values.items()
    )
    return f"<table><tr><th></th><th>median</th><th>16 %</th><th>84 %</th></tr>{rows}</table>"


def _interval(values: tuple[float, float, float] | None) -> str:
    if values is None:
        return ""
    return f"{values[0]:.3f} ± {0.5 * (values[2] - values[1]):.3f}"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ""
