//! Requests and KV caches over time, model by model.

use super::parts::{Page, counted, hue, mean, most, upright};
use crate::report::charts::{ClassSeries, Course};
use crate::report::draw::{Plot, Scale, amount, area, bands, line, percent};

const KEY: &str = "<ul class=\"key\" style=\"margin-top:.6rem\"><li><i></i>being computed, in the hue of the model</li><li><i style=\"background:var(--wait);opacity:.6\"></i>waiting in its queue, on top</li></ul>";

/// Empty where nothing was sampled.
pub(super) fn section(page: &Page<'_>, course: &Course) -> String {
    let known = course
        .servers
        .iter()
        .filter(|one| ClassSeries::has(&one.running) || ClassSeries::has(&one.kv));
    let panels: String = known.map(|one| of_class(page, course, one)).collect();
    if panels.is_empty() {
        return panels;
    }
    format!("{KEY}{panels}")
}

fn of_class(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    let servers = counted(one.servers as u64, "server");
    let name = page.class(one.class);
    let hue = hue(Some(one.class));
    let (left, right) = (requests(page, course, one), cache(page, course, one));
    format!(
        "<div class=\"pair {hue}\"><figure><figcaption class=\"one\">{name} <span>· requests, {servers}</span></figcaption>{left}</figure>{right}</div>"
    )
}

fn requests(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    let pairs = one.running.iter().zip(&one.waiting);
    let sum: Vec<Option<f64>> = pairs
        .map(|(running, waiting)| Some((*running)? + waiting.unwrap_or_default()))
        .collect();
    let (top, rows) = upright(most(&sum).max(4.0), 4);
    let scale = Scale::Linear { from: 0.0, to: top };
    let hover = bands(course.frame.pieces(), |range| {
        let running = mean(&one.running[range.clone()])?;
        let when = page.pieces(&course.frame, &range);
        let waiting = mean(&one.waiting[range]);
        let waiting = waiting.map(|waiting| format!(", {} waiting", amount(waiting)));
        Some(format!(
            "{when}\n{} running{}",
            amount(running),
            waiting.unwrap_or_default()
        ))
    });
    let plot = Plot {
        label: "requests running and waiting".to_owned(),
        height: 110,
        rows,
        columns: page.columns(&course.frame, 6),
        shapes: format!(
            "<path class=\"waiting\" d=\"{}\"/><path class=\"fill\" d=\"{}\"/>{hover}",
            area(&sum, Some(&one.running), scale),
            area(&one.running, None, scale)
        ),
        ends: Vec::new(),
    };
    plot.html()
}

fn cache(page: &Page<'_>, course: &Course, one: &ClassSeries) -> String {
    if !ClassSeries::has(&one.kv) {
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
    let plot = Plot {
        label: "use of the KV cache".to_owned(),
        height: 110,
        rows,
        columns: page.columns(&course.frame, 6),
        shapes: format!(
            "<path class=\"pale\" d=\"{}\"/><path class=\"line\" d=\"{}\"/><path class=\"thin\" d=\"{}\"/>{hover}",
            area(&one.kv, None, scale),
            line(&one.kv, scale),
            line(&one.kv_most, scale)
        ),
        ends: Vec::new(),
    };
    format!(
        "<figure><figcaption class=\"one\"><b>KV cache</b> <span>mean, and the fullest server (thin)</span></figcaption>{}</figure>",
        plot.html()
    )
}
