//! What ran, how it ended, and how the questions came out.

use std::fmt::Write as _;

use super::parts::{Page, counted, lines};
use crate::base::{Millis, float};
use crate::report::charts::Course;
use crate::report::document::{Report, Subject, outcome_lines, state_of_run};
use crate::report::draw::{amount, coordinate, escaped, percent};
use crate::report::tables::{Accuracy, Evaluation};

/// The title of the page, and its head as HTML.
pub(super) fn header(page: &Page<'_>, report: &Report) -> (String, String) {
    match &report.subject {
        Subject::Results { place } => {
            let shown = escaped(place);
            let head = format!("<p class=\"kind\">Results</p><h1>{shown}</h1>");
            (format!("{place}: report"), head)
        }
        Subject::Run {
            run,
            cluster,
            ended,
            until,
        } => {
            let state = state_of_run(*ended, until.as_deref());
            let course = page.charts.course.as_ref();
            let when =
                course.map_or_else(String::new, |course| format!(" · {}", span(page, course)));
            let played = course.and_then(played).unwrap_or_default();
            let head = format!(
                "<p class=\"kind\">Run <code>{}</code></p><h1>{}</h1><p class=\"sub\">{state}{when}</p>{played}",
                escaped(run),
                escaped(cluster)
            );
            (format!("{cluster}: report on {run}"), head)
        }
    }
}

/// Of a run that is shorter seconds are told.
const SHORT: Millis = Millis::from_secs(600);

/// That it is a rehearsal, and by which clock its times are.
fn played(course: &Course) -> Option<String> {
    let speed = course.speed?;
    let (from, to) = course.here;
    Some(format!(
        "<p class=\"played\"><b>Rehearsal at {}x</b> Times are the cluster's unless said otherwise: {} of it took {} here.</p>",
        amount(speed),
        course.frame.span(),
        to.since(from)
    ))
}

/// `31 Dec 2025, 21:07 – 23:10 (Europe/Berlin)`.
fn span(page: &Page<'_>, course: &Course) -> String {
    let (from, to) = course.here;
    let day = "%-d %b %Y";
    let (first, last) = (page.clock(from, day), page.clock(to, day));
    let zone = match page.zone.iana_name() {
        Some(name) => name.to_owned(),
        None => page.clock(from, "UTC%:z"),
    };
    let form = match to.since(from) {
        short if short < SHORT => "%H:%M:%S",
        _ => "%H:%M",
    };
    let (from, to) = (page.clock(from, form), page.clock(to, form));
    let last = if last == first {
        String::new()
    } else {
        format!("{last}, ")
    };
    escaped(&format!("{first}, {from} – {last}{to} ({zone})"))
}

pub(super) fn section(page: &Page<'_>, report: &Report) -> String {
    let mut out = String::new();
    if let Some(course) = &page.charts.course {
        out.push_str(&tiles(course));
    }
    let evaluations = report.evaluations.iter();
    let cards: String = evaluations.map(|one| of_evaluation(report, one)).collect();
    if cards.is_empty() {
        out.push_str("<p class=\"none\">it has no evaluation</p>");
    } else {
        let _ = write!(out, "<div class=\"cards\">{cards}</div>");
    }
    out
}

fn tiles(course: &Course) -> String {
    let mut tiles = vec![(
        if course.goes_on {
            "Goes on for"
        } else {
            "Took"
        },
        course.frame.span().to_string(),
        String::new(),
    )];
    for pace in &course.paces {
        tiles.push((
            "Questions per minute",
            amount(pace.mean),
            format!(
                "of {}: {} from its client's launch to the last one",
                pace.eval, pace.finished
            ),
        ));
    }
    let lanes = course.groups.iter().flat_map(|group| &group.lanes);
    let units = lanes.count() as u64;
    let tries = match course.tries() {
        0 => String::new(),
        _ => ", not counting the rehearsal's own kills".to_owned(),
    };
    tiles.push((
        "Started again",
        course.restarts().to_string(),
        format!("of {}{tries}", counted(units, "unit")),
    ));
    let open = course.alarms.iter().filter(|told| told.over.is_none());
    let open = match (course.alarms.len(), open.count()) {
        (0, _) => String::new(),
        (_, 0) => "all over".to_owned(),
        (_, open) => format!("{open} without a known end"),
    };
    tiles.push(("Alarms", course.alarms.len().to_string(), open));
    let tiles = tiles.iter().map(|(name, value, more)| {
        let (value, more) = (escaped(value), escaped(more));
        format!("<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>")
    });
    format!("<dl class=\"tiles\">{}</dl>", tiles.collect::<String>())
}

fn of_evaluation(report: &Report, found: &Evaluation) -> String {
    let Evaluation { name, accuracy, .. } = found;
    let mut out = "<div class=\"card\">".to_owned();
    if let Subject::Run { .. } = report.subject {
        let _ = write!(out, "<h3>{}</h3>", escaped(name));
    }
    if let Some(share) = accuracy.of_answered {
        let _ = write!(
            out,
            "<p class=\"big\">{} <small>of those answered are right</small></p>",
            percent(share)
        );
    }
    out.push_str(&bar(accuracy));
    out.push_str(&lines(&outcome_lines(found)));
    out.push_str("</div>");
    out
}

/// All questions as one bar, in parts.
fn bar(found: &Accuracy) -> String {
    let answered = found.done.saturating_sub(found.errors);
    let torn = found.torn.len();
    let answers = match found.correct {
        Some(correct) => [
            ("right", "right", correct),
            ("wrong", "wrong", answered.saturating_sub(correct)),
        ],
        None => [("wrong", "answered", answered), ("wrong", "", 0)],
    };
    let rest = [
        ("error", "in error", found.errors),
        ("torn", "torn", torn),
        ("missing", "missing", found.missing.unwrap_or(0)),
    ];
    let parts = answers.into_iter().chain(rest);
    let parts: Vec<_> = parts.filter(|(_, _, count)| *count > 0).collect();
    let all: usize = parts.iter().map(|(_, _, count)| count).sum();
    let (mut bar, mut key) = (String::new(), String::new());
    for (class, word, count) in parts {
        let width = coordinate(100.0 * float(count) / float(all.max(1)));
        let _ = write!(bar, "<i class=\"{class}\" style=\"flex:{width} 1 0\"></i>");
        let _ = write!(key, "<li><i class=\"{class}\"></i>{count} {word}</li>");
    }
    if key.is_empty() {
        return String::new();
    }
    format!("<div class=\"share\" aria-hidden=\"true\">{bar}</div><ul class=\"key\">{key}</ul>")
}
