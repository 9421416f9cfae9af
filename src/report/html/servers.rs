//! Requests and KV caches over time, model by model.

use std::fmt::Write as _;

use super::parts::{Page, counted, hue, mean, most, none, upright};
use crate::base::Timestamp;
use crate::report::charts::{ClassSeries, Course};
use crate::report::draw::{Plot, Scale, amount, area, bands, coordinate, line, percent};

const COMPUTED: &str = "<li><i></i>being computed, in the hue of the model</li>";
const STUCK: &str = "<li><i class=\"stuck\"></i>at a server that hangs</li>";
const WAITING: &str = "<li><i class=\"waiting\"></i>waiting in its queue, on top</li>";
const LOOKS: &str = "<li><i class=\"look\"></i>a look at its servers</li>";

/// A class with fewer requests than this at all times has no chart.
const LEAST: f64 = 0.05;
/// Nor has a KV cache of which never more than this share was used.
const LITTLE: f64 = 0.1;
/// How high a server is shown that hangs and tells none of its requests.
const STRIP: f64 = 0.06;
/// So few looks are shown one by one: between them nothing was seen.
const FEW: usize = 40;

/// Empty where nothing was sampled.
pub(super) fn section(page: &Page<'_>, course: &Course) -> String {
    let known = course
        .servers
        .iter()
        .filter(|one| ClassSeries::has(&one.running) || ClassSeries::has(&one.kv));
    let (shown, idle): (Vec<_>, Vec<_>) = known.partition(|one| {
        most(&requests(one)) >= LEAST || most(&one.kv_most) > LITTLE || is_frozen(one)
    });
    if shown.is_empty() && idle.is_empty() {
        return String::new();
    }
    let mut out = key(&shown);
    for one in shown {
        out.push_str(&of_class(page, course, one));
    }
    if !idle.is_empty() {
        let names = idle.iter().filter_map(|one| {
            let class = page.charts.classes.all().get(one.class)?;
            Some(format!("`{}`", class.name))
        });
        let names = names.collect::<Vec<_>>().join(", ");
        out.push_str(&none(&format!(
            "Without a chart, for hardly a request was there at any time: {names}."
        )));
    }
    out
}

fn key(shown: &[&ClassSeries]) -> String {
    let any = |series: fn(&ClassSeries) -> &[Option<f64>]| {
        shown.iter().any(|one| most(series(one)) > 0.0)
    };
    let parts = [
        (!shown.is_empty(), COMPUTED),
        (
            any(|one| &one.stuck) || shown.iter().any(|one| is_frozen(one)),
            STUCK,
        ),
        (any(|one| &one.waiting), WAITING),
        (shown.iter().any(|one| one.looks.len() <= FEW), LOOKS),
    ];
    let parts = parts.iter().filter(|(is_there, _)| *is_there);
    let parts: String = parts.map(|(_, part)| *part).collect();
    format!("<ul class=\"key\" style=\"margin-top:.6rem\">{parts}</ul>")
}

fn is_frozen(one: &ClassSeries) -> bool {
    one.frozen.contains(&true)
}

/// All requests of a class: computed, stuck and waiting.
fn requests(one: &ClassSeries) -> Vec<Option<f64>> {
    upon(&upon(&one.running, &one.stuck), &one.waiting)
}

/// One series on top of another, where that is known.
fn upon(below: &[Option<f64>], above: &[Option<f64>]) -> Vec<Option<f64>> {
    let pairs = below.iter().zip(above);
    pairs
        .map(|(below, above)| Some((*below)? + above.unwrap_or_default()))
        .collect()
}

fn of_class(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    let servers = counted(one.servers as u64, "server");
    let name = page.class(one.class);
    let hue = hue(Some(one.class));
    let few = match one.looks.len() {
        few if few <= FEW => format!(", seen in {}", counted(few as u64, "look")),
        _ => String::new(),
    };
    let unused = match most(&one.kv_most) {
        little if ClassSeries::has(&one.kv) && little <= LITTLE => {
            format!(" · KV cache {} full at most", percent(little))
        }
        _ => String::new(),
    };
    let (requests, cache) = (of_requests(page, course, one), cache(page, course, one));
    format!(
        "<div class=\"{hue}\"><figure><figcaption>{name} <span>· requests, {servers}{few}{unused}</span></figcaption>{requests}</figure>{cache}</div>"
    )
}

fn of_requests(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    let computed = upon(&one.running, &one.stuck);
    let all = upon(&computed, &one.waiting);
    let (top, rows) = upright(most(&all).max(1.0), 4);
    let scale = Scale::Linear { from: 0.0, to: top };
    let hover = bands(course.frame.pieces(), |range| {
        let running = mean(&one.running[range.clone()]);
        let frozen = one.frozen[range.clone()].contains(&true);
        let mut words = page.pieces(&course.frame, &range);
        let running = match running {
            Some(running) => format!("{} being computed", amount(running)),
            None if frozen => "nothing known of what is computed".to_owned(),
            None => return None,
        };
        let _ = write!(words, "\n{running}");
        let more = |series: &[Option<f64>]| mean(&series[range.clone()]);
        if let Some(stuck) = more(&one.stuck).filter(|stuck| *stuck > 0.0 || !frozen) {
            let _ = write!(words, ", {} at a server that hangs", amount(stuck));
        }
        if frozen {
            words.push_str(", a server hangs and tells none of its requests");
        }
        if let Some(waiting) = more(&one.waiting) {
            let _ = write!(words, ", {} waiting", amount(waiting));
        }
        Some(words)
    });
    let mut shapes = String::new();
    let mut shape = |class: &str, path: String| {
        if !path.is_empty() {
            let _ = write!(shapes, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    };
    if most(&one.waiting) > 0.0 {
        shape("waiting", area(&all, Some(&computed), scale));
    }
    if most(&one.stuck) > 0.0 {
        shape("stuck", area(&computed, Some(&one.running), scale));
    }
    shape("fill", area(&one.running, None, scale));
    // A strip at the foot: it has a time, and no height.
    let strip = one
        .frozen
        .iter()
        .map(|frozen| frozen.then_some(STRIP * top));
    shape("stuck", area(&strip.collect::<Vec<_>>(), None, scale));
    shape("look", looks(course, &one.looks));
    let plot = Plot {
        label: "requests running and waiting".to_owned(),
        height: 96,
        rows,
        columns: page.columns(&course.frame, 9),
        shapes: shapes + &hover,
    };
    plot.html()
}

/// Strokes where few looks were.
fn looks(course: &Course, looks: &[Timestamp]) -> String {
    let few = looks.iter().filter(|_| looks.len() <= FEW);
    let within = few.filter(|at| **at >= course.frame.from && **at <= course.frame.to);
    within.fold(String::new(), |mut path, at| {
        let x = coordinate(1000.0 * course.frame.place(*at));
        let _ = write!(path, "M{x} 100V94");
        path
    })
}

/// Nothing where next to nothing of it was ever used.
fn cache(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    let fullest = most(&one.kv_most);
    if fullest <= LITTLE {
        return String::new();
    }
    let scale = Scale::Linear { from: 0.0, to: 1.0 };
    let rows = [0.0, 0.5, 1.0]
        .map(|share| (share, percent(share)))
        .to_vec();
    let hover = bands(course.frame.pieces(), |range| {
        let kv = mean(&one.kv[range.clone()])?;
        let when = page.pieces(&course.frame, &range);
        let fullest = most(&one.kv_most[range]);
        Some(format!(
            "{when}\n{} of the KV cache, the fullest {}",
            percent(kv),
            percent(fullest)
        ))
    });
    let thin = match one.servers {
        1 => String::new(),
        _ => format!("<path class=\"thin\" d=\"{}\"/>", line(&one.kv_most, scale)),
    };
    let plot = Plot {
        label: "use of the KV cache".to_owned(),
        height: 56,
        rows,
        columns: page.columns(&course.frame, 9),
        shapes: format!(
            "<path class=\"pale\" d=\"{}\"/><path class=\"line\" d=\"{}\"/>{thin}{hover}",
            area(&one.kv, None, scale),
            line(&one.kv, scale)
        ),
    };
    let fullest = percent(fullest);
    let what = match one.servers {
        1 => format!("· {fullest} full at most"),
        _ => format!("· mean, and the fullest server (thin), {fullest} at most"),
    };
    format!(
        "<figure class=\"below\"><figcaption>KV cache <span>{what}</span></figcaption>{}</figure>",
        plot.html()
    )
}
