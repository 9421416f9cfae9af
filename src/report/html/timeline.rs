//! Units and their attempts over time, and alarms.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::parts::{Page, counted, dot, hue, marked, model};
use crate::base::{Timestamp, float};
use crate::report::charts::{Course, Doing, Frame, Group, Lane, MarkKind, Span, Told};
use crate::report::draw::{Plot, coordinate, escaped};

/// Pixels of a lane.
const LANE: usize = 14;
/// So many spans of a lane are drawn: the longest.
const SPANS: usize = 200;
/// And so many marks: the last.
const MARKS: usize = 100;
/// So many alarms are told.
const ALARMS: usize = 60;

pub(super) fn section(page: &Page<'_>, course: &Course) -> String {
    let frame = &course.frame;
    let lead = match page.speed() {
        Some(_) => format!("{LEAD} {PLAYED}"),
        None => LEAD.to_owned(),
    };
    let key = key(course);
    let mut out = format!("<p class=\"lead\">{lead}</p>{key}<div class=\"groups\">");
    for group in &course.groups {
        out.push_str(&of_group(page, course, group));
    }
    // The words of the time stand below the last one.
    let axis = Plot {
        height: 1,
        label: "time".to_owned(),
        columns: page.columns(frame, 9),
        ..Plot::default()
    };
    let _ = write!(out, "{}</div>", axis.html());
    out + &alarms(page, course)
}

const LEAD: &str = "Each bar is a start of a unit, from its launch to its end.";
/// Times of toolorch itself are not played.
const PLAYED: &str = "Starts, stops and what toolorch takes to notice something are real, and so look longer than they are in the cluster.";
/// What bars and strokes mean: CSS class and words.
const KEY: [(&str, &str); 8] = [
    ("queued", "in a queue"),
    ("starting", "starting"),
    ("ready", "ready, at work"),
    ("troubled", "hung, slow or held"),
    ("stopping", "stopping"),
    ("died", "ended by itself"),
    ("tried", "killed by the rehearsal itself"),
    ("over", "evaluation over"),
];

/// The key of what there is.
fn key(course: &Course) -> String {
    let lanes = || course.groups.iter().flat_map(|group| &group.lanes);
    let spans = lanes().flat_map(|lane| &lane.spans);
    let doing = spans.map(|span| match doing(span.doing) {
        "hung" | "held" => "troubled",
        class => class,
    });
    let marks = lanes().flat_map(|lane| &lane.marks);
    let marks = marks.map(|mark| match kind(mark.kind) {
        "gave-up" => "died",
        class => class,
    });
    let there: BTreeSet<&str> = doing.chain(marks).collect();
    let items = KEY.iter().filter(|(class, _)| there.contains(class));
    let items = items.map(|(class, words)| format!("<li><i class=\"{class}\"></i>{words}</li>"));
    format!("<ul class=\"key\">{}</ul>", items.collect::<String>())
}

/// The CSS class of what a unit does.
fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Queued => "queued",
        Doing::Starting => "starting",
        Doing::Ready => "ready",
        Doing::Troubled => "troubled",
        Doing::Hung => "hung",
        Doing::Stopping => "stopping",
        Doing::Held => "held",
    }
}

/// The CSS class of what happened to it.
fn kind(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Died => "died",
        MarkKind::Tried => "tried",
        MarkKind::GaveUp => "gave-up",
        MarkKind::Over => "over",
    }
}

fn of_group(page: &Page<'_>, course: &Course, group: &Group) -> String {
    let again = |lane: &Lane| lane.starts.saturating_sub(1 + lane.tries());
    let starts: u64 = group.lanes.iter().map(again).sum();
    let mut words: Vec<String> = group.key.iter().map(|key| model(key)).collect();
    if group.lanes.len() > 1 {
        words.push(counted(group.lanes.len() as u64, "unit"));
    }
    if starts > 0 {
        words.push(format!("started again {}", times(starts)));
    }
    let (dot, hue) = (dot(group.class), hue(group.class));
    let (name, words) = (escaped(&group.name), words.join(" · "));
    let height = LANE * group.lanes.len();
    let mut out = format!(
        "<h4>{dot}{name} <small>{words}</small></h4><div class=\"plot lanes {hue}\" style=\"--h:{height}px\"><div class=\"ys\">"
    );
    for (index, lane) in group.lanes.iter().enumerate() {
        let bottom = 100.0 * share(group.lanes.len() - index, group.lanes.len(), 0.5);
        let (bottom, label) = (coordinate(bottom), escaped(&lane.label));
        let _ = write!(out, "<span style=\"bottom:{bottom}%\">{label}</span>");
    }
    let lanes = 10 * group.lanes.len();
    let _ = write!(
        out,
        "</div><svg viewBox=\"0 0 1000 {lanes}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name} over time\">"
    );
    let moments = page.columns(&course.frame, 9).into_iter();
    let grid = moments.map(|(at, _, _)| format!("M{} 0V{lanes}", coordinate(1000.0 * at)));
    let _ = write!(
        out,
        "<path class=\"grid\" d=\"{}\"/>",
        grid.collect::<String>()
    );
    for (from, to) in &course.unwatched {
        let (x, width) = place(&course.frame, *from, *to);
        let _ = write!(
            out,
            "<rect class=\"unwatched h\" x=\"{x}\" width=\"{width}\" height=\"{lanes}\"><title>nobody watched from {} to {}</title></rect>",
            page.moment(*from, &course.frame),
            page.moment(*to, &course.frame)
        );
    }
    for (index, lane) in group.lanes.iter().enumerate() {
        of_lane(&mut out, page, &course.frame, lane, 10 * index);
    }
    out + "</svg></div>"
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn share(index: usize, of: usize, less: f64) -> f64 {
    (float(index) - less) / float(of.max(1))
}

/// Where a span begins and how wide it is; what is short can still be seen.
fn place(frame: &Frame, from: Timestamp, to: Timestamp) -> (String, String) {
    let (from, to) = (1000.0 * frame.place(from), 1000.0 * frame.place(to));
    let width = (to - from).max(1.2);
    (coordinate(from.min(1000.0 - width)), coordinate(width))
}

fn of_lane(out: &mut String, page: &Page<'_>, frame: &Frame, lane: &Lane, top: usize) {
    let mut spans: Vec<&Span> = lane.spans.iter().collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.to.since(span.from)));
    spans.truncate(SPANS);
    spans.sort_by_key(|span| span.from);
    let unit = escaped(lane.unit.as_str());
    for span in spans {
        let (x, width) = place(frame, span.from, span.to);
        let class = doing(span.doing);
        // What is amiss is told by the shape as well: the bar is thin.
        let (down, high) = match span.doing {
            Doing::Troubled | Doing::Hung | Doing::Held => (3, 3),
            _ => (1, 7),
        };
        let _ = write!(
            out,
            "<rect class=\"{class} h\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{high}\"><title>{unit}, {}\n{} – {} ({})</title></rect>",
            top + down,
            escaped(&span.words),
            page.moment(span.from, frame),
            page.moment(span.to, frame),
            span.to.since(span.from)
        );
    }
    let late = lane.marks.len().saturating_sub(MARKS);
    for mark in &lane.marks[late..] {
        let x = 1000.0 * frame.place(mark.at);
        let class = kind(mark.kind);
        let _ = write!(
            out,
            "<path class=\"{class}\" d=\"M{} {top}v9\"/><rect class=\"mark h\" x=\"{}\" y=\"{top}\" width=\"8\" height=\"9\"><title>{unit}, {}\n{}</title></rect>",
            coordinate(x),
            coordinate(x - 4.0),
            page.moment(mark.at, frame),
            escaped(&mark.words)
        );
    }
}

fn alarms(page: &Page<'_>, course: &Course) -> String {
    if course.alarms.is_empty() {
        return "<p class=\"none\">There was no alarm.</p>".to_owned();
    }
    let told = course.alarms.iter().take(ALARMS);
    let items: String = told.map(|told| alarm(page, course, told)).collect();
    let lead = match page.speed() {
        Some(_) => "<p class=\"none\">Lengths of time in their words are real ones.</p>",
        None => "",
    };
    let more = course.alarms.len().saturating_sub(ALARMS);
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"none\">and {more} more: <code>toolorch events</code></p>"),
    };
    format!(
        "<h3 style=\"margin-top:1.6rem\">{}</h3>{lead}<ol class=\"alarms\" style=\"margin-top:.5rem\">{items}</ol>{more}",
        counted(course.alarms.len() as u64, "alarm")
    )
}

fn alarm(page: &Page<'_>, course: &Course, told: &Told) -> String {
    let unit = told
        .unit
        .as_ref()
        .map(|unit| format!("<small>{}</small><br>", escaped(unit.as_str())));
    let over = match told.over {
        Some(over) => format!(" <small>(over after {})</small>", over.since(told.at)),
        None => String::new(),
    };
    format!(
        "<li><time>{}</time><b>{}</b><span>{}{}{over}</span></li>",
        page.moment(told.at, &course.frame),
        escaped(&told.alarm),
        unit.unwrap_or_default(),
        marked(&told.text)
    )
}
