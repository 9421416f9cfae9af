//! How many questions were finished when.

use super::frame::Frame;
use crate::base::{EvalName, Millis, Timestamp, UnitId, float};
use crate::report::clock::Clock;
use crate::run::{Event, Record};

/// Questions of an evaluation that were finished, piece by piece of a frame of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Which evaluation.
    pub eval: EvalName,
    /// Questions finished in a minute; none while its client had not begun, or was over.
    pub per_minute: Vec<Option<f64>>,
    /// How many there were in all.
    pub finished: usize,
    /// Over the time in which it ran, in a minute.
    pub mean: f64,
}

/// Counts that lie further apart than this do not tell when what came between was finished: nobody watched.
const APART: Millis = Millis::from_secs(300);

/// Of one evaluation; none if nothing was finished.
pub(super) fn pace(
    records: &[Record],
    eval: &EvalName,
    clock: Clock,
    frame: &Frame,
) -> Option<Pace> {
    let apart = clock.length(APART);
    let mut finished = vec![0.0; frame.pieces()];
    let mut seen = vec![0_u64; frame.pieces()];
    // What was there before its first client is not of this run.
    let (mut known, mut since): (usize, Option<Timestamp>) = (0, None);
    let (mut count, mut time) = (0, 0);
    let client = UnitId::eval(eval);
    for record in records {
        match &record.event {
            Event::LaunchIntended { unit, .. } if *unit == client => since = Some(record.at),
            Event::EvalProgress {
                eval: own, done, ..
            } if own == eval => {
                // Fewer than before were set aside: that is no work undone.
                let more = done.saturating_sub(known);
                known = *done;
                let Some(at) = since.as_mut() else { continue };
                let from = std::mem::replace(at, record.at);
                let from = from.max(Timestamp(record.at.0.saturating_sub(apart.0)));
                count += more;
                time += record.at.since(from).0;
                frame.pour(from, record.at, float(more), &mut finished);
                for (piece, length) in frame.touched(from, record.at) {
                    seen[piece] += length;
                }
            }
            _ => {}
        }
    }
    let minute = 60_000.0;
    let of = |(finished, seen): (f64, u64)| (seen > 0).then(|| finished * minute / float(seen));
    (count > 0).then(|| Pace {
        eval: eval.clone(),
        per_minute: finished.into_iter().zip(seen).map(of).collect(),
        finished: count,
        mean: float(count) * minute / float(time.max(1)),
    })
}
