//! What of a line cannot be: numbers out of all range are taken out and counted before anything rests on them.

use std::collections::BTreeMap;

use super::line::{Amount, EvalLine, Head, Line, NodeLine, ServerLine, Spread};
use crate::base::bounds::{
    LAST_MOMENT, MOST_AT_ONCE, MOST_COUNTED, MOST_MEBIBYTES, MOST_QUESTIONS,
};
use crate::base::{Millis, float};
use crate::knowledge::series::Gauge;

/// The use of a cache is a share; what is above it by rounding is one still.
const WHOLE: f64 = 1.01;
/// The pause between samples: a day, some four orders above what is meant.
const LONGEST_PAUSE: Millis = Millis::from_secs(86_400);
/// Processors of a machine, and its load: a million.
const MOST_CORES: u32 = 1_000_000;
/// Open files of a process: what `nofile` can allow.
const MOST_FILES: u64 = 1 << 31;

/// Takes out of a line what cannot be, and answers how much that was; none where nothing is left of it.
pub(super) fn tidy(line: &mut Line) -> Option<usize> {
    match line {
        Line::Head(head) => Some(tidy_head(head)),
        Line::Server(line) => Some(tidy_server(line)),
        Line::Node(line) => Some(tidy_node(line)),
        Line::Eval(line) => tidy_eval(line),
    }
}

fn tidy_head(head: &mut Head) -> usize {
    let odd = head.every > LONGEST_PAUSE;
    if odd {
        head.every = LONGEST_PAUSE;
    }
    usize::from(odd)
}

fn tidy_server(line: &mut ServerLine) -> usize {
    let mut odd = drop_odd(&mut line.born, |born| (0.0..=LAST_MOMENT).contains(born));
    for (gauge, value) in &mut line.now {
        let most = match gauge {
            Gauge::Running | Gauge::Waiting => MOST_AT_ONCE,
            Gauge::KvCache => WHOLE,
        };
        if !(0.0..=most).contains(&value.0) {
            // What it was before is not known to be what it is.
            *value = Amount::UNKNOWN;
            odd += 1;
        }
    }
    odd += keep(&mut line.more, |more| is_counted(*more));
    odd + keep(&mut line.spread, is_spread)
}

fn tidy_node(line: &mut NodeLine) -> usize {
    let fits = |memory: &u64| *memory <= MOST_MEBIBYTES;
    let mut odd = drop_odd(&mut line.load, |load| {
        (0.0..=f64::from(MOST_CORES)).contains(load)
    });
    odd += drop_odd(&mut line.cores, |cores| *cores <= MOST_CORES);
    odd += drop_odd(&mut line.memory, |(free, all)| fits(free) && fits(all));
    for gpu in &mut line.gpus {
        odd += drop_odd(&mut gpu.busy, |percent| *percent <= 100);
        odd += drop_odd(&mut gpu.used, fits);
        odd += drop_odd(&mut gpu.total, fits);
    }
    odd
}

/// Its counts stand or fall together.
fn tidy_eval(line: &mut EvalLine) -> Option<usize> {
    if line.errors > line.done || line.done > line.total || line.total > MOST_QUESTIONS {
        return None;
    }
    let at_once = |calls: &usize| float(*calls) <= MOST_AT_ONCE;
    let odd = drop_odd(&mut line.open_calls, at_once);
    Some(odd + drop_odd(&mut line.files, |(open, _)| *open <= MOST_FILES))
}

fn drop_odd<T>(value: &mut Option<T>, fits: impl Fn(&T) -> bool) -> usize {
    usize::from(value.take_if(|value| !fits(value)).is_some())
}

fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, fits: impl Fn(&V) -> bool) -> usize {
    let before = map.len();
    map.retain(|_, value| fits(value));
    before - map.len()
}

fn is_counted(amount: Amount) -> bool {
    (0.0..=MOST_COUNTED).contains(&amount.0)
}

fn is_spread(spread: &Spread) -> bool {
    let per = |(limit, count): &(Option<Amount>, Amount)| {
        limit.is_none_or(is_counted) && is_counted(*count)
    };
    is_counted(spread.n) && is_counted(spread.sum) && spread.per.iter().all(per)
}
