//! Pieces that several sections have in common.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::base::{Millis, Timestamp, cut, float};
use crate::report::charts::{Charts, Frame};
use crate::report::document::WIDEST;
use crate::report::draw::{amount, elapsed, escaped, moments, nice};

/// What all sections are made of.
pub(super) struct Page<'a> {
    pub(super) charts: &'a Charts,
    pub(super) zone: &'a TimeZone,
}

/// A section; its id is how it is linked to.
pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2>{body}</section>\n")
}

/// A line instead of a chart.
pub(super) fn none(line: &str) -> String {
    format!("<p class=\"none\">{}</p>", marked(line))
}

/// Sentences, one a line. Lines that are moved to the right stand in columns, or are a file's: they stay as they are.
pub(super) fn lines(all: &[String]) -> String {
    let is_moved = |line: &String| line.starts_with("  ");
    let parts = all.chunk_by(|one, other| is_moved(one) == is_moved(other));
    let parts = parts.map(|part| {
        if part.first().is_some_and(is_moved) {
            // Of what all of them begin with, nothing is shown.
            let lines = part
                .iter()
                .map(|line| escaped(line.strip_prefix("  ").unwrap_or(line)));
            format!("<pre>{}</pre>", lines.collect::<Vec<_>>().join("\n"))
        } else {
            let items = part.iter().map(|line| format!("<li>{}</li>", marked(line)));
            format!("<ul class=\"lines\">{}</ul>", items.collect::<String>())
        }
    });
    parts.collect()
}

/// A sentence in which names stand between backticks.
pub(super) fn marked(line: &str) -> String {
    let mut out = String::new();
    let parts: Vec<&str> = line.split('`').collect();
    for (index, part) in parts.iter().enumerate() {
        let part = escaped(part);
        let is_name = index % 2 == 1;
        // One without a partner is nothing but itself.
        if is_name && index + 1 == parts.len() {
            let _ = write!(out, "`{part}");
        } else if is_name {
            // An option breaks nowhere: browsers would break it behind its first dash.
            let class = if part.starts_with('-') {
                " class=\"n\""
            } else {
                ""
            };
            let _ = write!(out, "<code{class}>{part}</code>");
        } else {
            out.push_str(&part);
        }
    }
    out
}

/// The CSS class of a hue; there are eight.
pub(super) fn hue(class: Option<usize>) -> String {
    class.map_or_else(String::new, |class| format!("c{}", class % 8))
}

/// A dot in a hue.
pub(super) fn dot(class: Option<usize>) -> String {
    match class {
        Some(_) => format!("<i class=\"dot {}\"></i>", hue(class)),
        None => String::new(),
    }
}

/// What tells a model from others in little room: the last part of its name, which may be that of its folder.
fn short(model: &str) -> &str {
    let path = model.trim_end_matches('/');
    path.rsplit('/')
        .next()
        .filter(|part| !part.is_empty())
        .unwrap_or(model)
}

/// The short name of a model as HTML; pointing at it tells the whole.
pub(super) fn model(name: &str) -> String {
    let short = cut(short(name), WIDEST);
    if short == name {
        return escaped(name);
    }
    let (short, name) = (escaped(&short), escaped(name));
    format!("<span class=\"h\" title=\"{name}\">{short}</span>")
}

/// `1 server`, `2 servers`.
pub(super) fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Page<'_> {
    /// A name of a class as HTML: a dot, its name, and what clients call it.
    pub(super) fn class(&self, class: usize) -> String {
        let Some(known) = self.charts.classes.all().get(class) else {
            return String::new();
        };
        let key = known.key.as_ref();
        let key = key.map(|key| format!(" <span>{}</span>", model(key)));
        let (dot, name) = (dot(Some(class)), escaped(&known.name));
        format!("{dot}<b>{name}</b>{}", key.unwrap_or_default())
    }

    /// A moment by the clock on the wall; `form` is one of `strftime`.
    pub(super) fn clock(&self, at: Timestamp, form: &str) -> String {
        let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(millis);
        at.map_or_else(
            |_| String::new(),
            |at| at.to_zoned(self.zone.clone()).strftime(form).to_string(),
        )
    }

    /// In a rehearsal: hours of the cluster in an hour here.
    pub(super) fn speed(&self) -> Option<f64> {
        self.charts.course.as_ref()?.speed
    }

    /// A moment, as exactly as the frame is long. No clock on a wall shows those of a rehearsal: they are told from its begin on.
    pub(super) fn moment(&self, at: Timestamp, frame: &Frame) -> String {
        if self.speed().is_some() {
            let after = at.since(frame.from);
            return format!("after {after}");
        }
        let form = match frame.span() {
            moment if moment < Millis::from_secs(60) => "%H:%M:%S%.1f",
            short if short < Millis::from_secs(3600) => "%H:%M:%S",
            day if day < Millis::from_secs(20 * 3600) => "%H:%M",
            _ => "%-d %b %H:%M",
        };
        self.clock(at, form)
    }

    /// From when to when pieces are.
    pub(super) fn pieces(&self, frame: &Frame, range: &std::ops::Range<usize>) -> String {
        let (from, _) = frame.piece(range.start);
        let (_, to) = frame.piece(range.end.saturating_sub(1));
        let (from, to) = (self.moment(from, frame), self.moment(to, frame));
        format!("{from} – {to}")
    }

    /// Words below a chart over time, at most so many.
    pub(super) fn columns(&self, frame: &Frame, most: u64) -> Vec<(f64, String, Option<String>)> {
        let moments = match self.speed() {
            Some(_) => elapsed(frame, most),
            None => moments(frame, self.zone, most),
        };
        // The head of the page names the day of a short run.
        let days = moments.iter().filter(|moment| moment.day.is_some()).count();
        let named = moments.into_iter().map(|moment| {
            let day = moment.day.filter(|_| days > 1);
            (frame.place(moment.at), moment.text, day)
        });
        named.collect()
    }
}

/// The height of an axis from zero on, and its words.
pub(super) fn upright(max: f64, most: u32) -> (f64, Vec<(f64, String)>) {
    let ticks = nice(max, most);
    let top = ticks.last().copied().unwrap_or(1.0);
    let rows = ticks.iter().map(|tick| (tick / top, amount(*tick)));
    (top, rows.collect())
}

/// The most of what is known.
pub(super) fn most(series: &[Option<f64>]) -> f64 {
    series.iter().flatten().copied().fold(0.0, f64::max)
}

/// The mean of what is known of some pieces.
pub(super) fn mean(series: &[Option<f64>]) -> Option<f64> {
    let known = series.iter().flatten();
    let count = known.clone().count();
    (count > 0).then(|| known.sum::<f64>() / float(count))
}
