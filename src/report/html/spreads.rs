//! Histograms and share curves of calls, tool by tool.

use std::fmt::Write as _;

use super::parts::{Page, counted, dot, hue, model as model_name, none, upright};
use crate::base::float;
use crate::report::charts::{Bin, Spread};
use crate::report::document::Report;
use crate::report::draw::{
    Plot, Scale, amount, coordinate, escaped, logarithmic, nice, percent, polyline, seconds,
};

/// So many kinds of call are drawn for an evaluation: who names a thousand tools made a mistake.
const MOST: usize = 24;

pub(super) fn section(page: &Page<'_>, report: &Report) -> String {
    let named = report.evaluations.len() > 1;
    let mut out = String::new();
    for (evaluation, spreads) in report.evaluations.iter().zip(&page.charts.spreads) {
        if spreads.is_empty() {
            continue;
        }
        if named {
            let _ = write!(
                out,
                "<h3 style=\"margin-top:1.4rem\">{}</h3>",
                escaped(&evaluation.name)
            );
        }
        let _ = write!(
            out,
            "<div class=\"spreads\" style=\"--cols:{}\">",
            columns(spreads.len())
        );
        spreads
            .iter()
            .take(MOST)
            .for_each(|spread| out.push_str(&of_spread(spread)));
        out.push_str("</div>");
        if spreads.len() > MOST {
            let _ = write!(
                out,
                "<p class=\"none\">and {} more, in the tables</p>",
                spreads.len() - MOST
            );
        }
    }
    if out.is_empty() {
        return none("no result and no log tells how long a call took");
    }
    format!(
        "<p class=\"lead\">Above how many calls took how long; below the share of calls that took no longer, with P50, P90 and P99. Axes may be logarithmic.</p>{out}"
    )
}

/// So many of these stand beside each other that no row is much shorter than the others.
fn columns(count: usize) -> usize {
    let empty = |columns: &usize| count.next_multiple_of(*columns) - count;
    [4, 3, 2].into_iter().min_by_key(empty).unwrap_or(2)
}

fn of_spread(spread: &Spread) -> String {
    let models = match spread.models.as_slice() {
        [] => String::new(),
        [model] => format!(" <span>{}</span>", model_name(model)),
        models => format!(" <span>{}</span>", counted(models.len() as u64, "model")),
    };
    let [p50, p90, p99] = spread.percentiles.map(seconds);
    let (dot, name, hue) = (dot(spread.class), escaped(&spread.name), hue(spread.class));
    let calls = counted(spread.count as u64, "call");
    let log = if spread.log { " · logarithmic" } else { "" };
    let (scale, columns) = axis(spread);
    let (upper, lower) = (histogram(spread, scale), curve(spread, scale, columns));
    format!(
        "<figure class=\"{hue}\"><figcaption><div class=\"one\">{dot}<b>{name}</b>{models}</div><span>{calls} · P50 {p50} · P90 {p90} · P99 {p99}{log}</span></figcaption>{upper}{lower}</figure>"
    )
}

type Columns = Vec<(f64, String, Option<String>)>;

fn axis(spread: &Spread) -> (Scale, Columns) {
    let from = spread.bins.first().map_or(0.0, |bin| bin.from);
    let to = spread.bins.last().map_or(1.0, |bin| bin.to);
    let (scale, ticks) = if spread.log {
        (Scale::Log { from, to }, logarithmic(from, to, 7))
    } else {
        (Scale::Linear { from, to }, lengths(to))
    };
    let ticks = ticks.into_iter().filter(|tick| *tick <= to);
    let word = |tick: f64| match unit(to) {
        _ if spread.log || tick == 0.0 || to < 0.5 => seconds(tick),
        (length, word) => format!("{} {word}", amount(tick / length)),
    };
    let columns = ticks.map(|tick| (scale.place(tick), word(tick), None));
    (scale, columns.collect())
}

/// The unit in which times up to this one are told on an axis.
fn unit(to: f64) -> (f64, &'static str) {
    match to {
        short if short < 120.0 => (1.0, "s"),
        short if short < 7200.0 => (60.0, "min"),
        _ => (3600.0, "h"),
    }
}

/// Round lengths of time from zero on, in the unit in which they are told.
fn lengths(to: f64) -> Vec<f64> {
    let (length, _) = unit(to);
    let ticks = nice(to / length, 5).into_iter();
    ticks.map(|tick| tick * length).collect()
}

fn histogram(spread: &Spread, scale: Scale) -> String {
    let most = float(spread.bins.iter().map(|bin| bin.count).max().unwrap_or(0));
    let (top, rows) = upright(most.max(3.0), 3);
    let mut shapes = String::new();
    for Bin { from, to, count } in &spread.bins {
        let (left, right) = (1000.0 * scale.place(*from), 1000.0 * scale.place(*to));
        let height = 100.0 * float(*count) / top;
        let gap = ((right - left) * 0.08).min(4.0);
        let _ = write!(
            shapes,
            "<rect class=\"bar h\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{} – {}\n{} ({})</title></rect>",
            coordinate(left + gap / 2.0),
            coordinate(100.0 - height),
            coordinate(right - left - gap),
            coordinate(height),
            seconds(*from),
            seconds(*to),
            counted(*count as u64, "call"),
            percent(float(*count) / float(spread.count.max(1)))
        );
    }
    let plot = Plot {
        label: format!("how many calls of {} took how long", spread.name),
        height: 90,
        rows,
        shapes,
        ..Plot::default()
    };
    plot.html()
}

fn curve(spread: &Spread, scale: Scale, columns: Columns) -> String {
    let points = spread.steps.iter();
    let mut points: Vec<(f64, f64)> = points
        .map(|(at, share)| (scale.place(*at), *share))
        .collect();
    if let Some((first, _)) = points.first().copied() {
        points.insert(0, (first, 0.0));
    }
    points.push((1.0, 1.0));
    let marks = spread
        .percentiles
        .map(|at| format!("M{} 0V100", coordinate(1000.0 * scale.place(at))));
    let plot = Plot {
        label: format!("share of calls of {} that took no longer", spread.name),
        height: 70,
        rows: [0.0, 0.5, 1.0]
            .map(|share| (share, percent(share)))
            .to_vec(),
        columns,
        shapes: format!(
            "<path class=\"mean\" d=\"{}\"/><path class=\"line\" d=\"{}\"/>",
            marks.concat(),
            polyline(&points)
        ),
    };
    plot.html()
}
