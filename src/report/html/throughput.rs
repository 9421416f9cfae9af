//! Finished questions and generated tokens over time.

use std::fmt::Write as _;

use super::parts::{Page, hue, mean, most, upright};
use crate::report::charts::{ClassSeries, Course, Pace};
use crate::report::draw::{Plot, Scale, amount, bands, bars, escaped, line};

/// So many models have a line of their own: of more, those that generated most.
const LINES: usize = 8;

pub(super) fn section(page: &Page<'_>, course: &Course) -> String {
    let paces = course.paces.iter().map(|pace| of_pace(page, course, pace));
    paces.collect::<String>() + &tokens(page, course)
}

fn of_pace(page: &Page<'_>, course: &Course, pace: &Pace) -> String {
    let frame = &course.bars;
    let (top, rows) = upright(most(&pace.per_minute), 4);
    let scale = Scale::Linear { from: 0.0, to: top };
    let known = || pace.per_minute.iter().map(|piece| piece.map(|_| pace.mean));
    let level = line(&known().collect::<Vec<_>>(), scale);
    let hover = bands(frame.pieces(), |range| {
        let now = mean(&pace.per_minute[range.clone()])?;
        let when = page.pieces(frame, &range);
        Some(format!("{when}\n{} questions per minute", amount(now)))
    });
    let name = pace.eval.as_str();
    let plot = Plot {
        label: format!("questions of {name} finished per minute"),
        height: 120,
        rows,
        columns: page.columns(frame, 9),
        shapes: format!(
            "<path class=\"fill\" d=\"{}\"/><path class=\"mean\" d=\"{level}\"/>{hover}",
            bars(&pace.per_minute, scale)
        ),
    };
    format!(
        "<figure><figcaption><b>{}</b> <span>questions finished per minute · mean {} (dashed)</span></figcaption>{}</figure>",
        escaped(name),
        amount(pace.mean),
        plot.html()
    )
}

fn tokens(page: &Page<'_>, course: &Course) -> String {
    let total = |series: &&ClassSeries| series.tokens.iter().flatten().sum::<f64>();
    let known = course.servers.iter();
    let mut shown: Vec<&ClassSeries> = known.filter(|one| ClassSeries::has(&one.tokens)).collect();
    if shown.is_empty() {
        return String::new();
    }
    shown.sort_by(|one, other| total(other).total_cmp(&total(one)));
    let hidden = shown.len().saturating_sub(LINES);
    shown.truncate(LINES);
    let highest = shown
        .iter()
        .map(|one| most(&one.tokens))
        .fold(0.0, f64::max);
    let (top, rows) = upright(highest, 5);
    let scale = Scale::Linear { from: 0.0, to: top };
    let name = |one: &ClassSeries| {
        let class = page.charts.classes.all().get(one.class);
        class.map_or_else(String::new, |class| class.name.clone())
    };
    let mut shapes = String::new();
    let mut key = String::new();
    for one in shown.iter().rev() {
        let (hue, path) = (hue(Some(one.class)), line(&one.tokens, scale));
        let _ = write!(shapes, "<path class=\"line {hue}\" d=\"{path}\"/>");
    }
    for one in &shown {
        let (hue, name) = (hue(Some(one.class)), escaped(&name(one)));
        let _ = write!(key, "<li class=\"{hue}\"><i></i>{name}</li>");
    }
    shapes += &bands(course.frame.pieces(), |range| {
        let mut words = page.pieces(&course.frame, &range);
        let before = words.len();
        for one in &shown {
            if let Some(rate) = mean(&one.tokens[range.clone()]) {
                let _ = write!(words, "\n{}: {} tokens/s", name(one), amount(rate));
            }
        }
        (words.len() > before).then_some(words)
    });
    let plot = Plot {
        label: "tokens generated per second, by model".to_owned(),
        height: 200,
        rows,
        columns: page.columns(&course.frame, 9),
        shapes,
    };
    let hidden = match hidden {
        0 => String::new(),
        hidden => format!(" · {hidden} more are not drawn"),
    };
    format!(
        "<figure><figcaption><b>Tokens generated per second</b> <span>by model, all replicas together{hidden}</span></figcaption><ul class=\"key\">{key}</ul>{}</figure>",
        plot.html()
    )
}
