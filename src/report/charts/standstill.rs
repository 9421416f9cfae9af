//! Since when servers that were found to hang had stood still.

use std::collections::BTreeMap;

use super::lanes::{Doing, Group};
use crate::base::{Generation, Timestamp, UnitId};
use crate::facts::samples::{Point, Samples};
use crate::knowledge::series::{Counter, Gauge};

/// The last look at which something had moved, before a server was found to hang. None where the look before the finding saw it
/// move, or nobody looked.
pub(super) fn since(
    samples: &Samples,
    unit: &UnitId,
    generation: Generation,
    found: Timestamp,
) -> Option<Timestamp> {
    let points = samples.servers.get(unit)?.points().rev();
    let own = points
        .skip_while(|point| point.at() > found)
        .take_while(|point| point.generation() == generation);
    let mut own = own.peekable();
    // A server that stands still shows what it did last. Where that was nothing, none of its looks can tell it from one without calls;
    // but that one answers the probes, and counts them.
    let idly = own.peek().is_some_and(|point| !is_busy(*point));
    let still =
        own.take_while(|point| !point.begins() && !has_moved(*point) && (idly || is_busy(*point)));
    let last = still.last()?;
    Some(Timestamp(last.at().0.saturating_sub(last.span().0)))
}

fn has_moved(point: Point<'_>) -> bool {
    let mut counters = Counter::ALL.iter();
    counters.any(|counter| point.count(*counter).is_some_and(|more| more > 0.0))
}

fn is_busy(point: Point<'_>) -> bool {
    let running = point.mean(Gauge::Running);
    running.is_some_and(|running| running > 0.0)
}

/// When which server hung.
#[derive(Debug, Default)]
pub(super) struct Hangs(BTreeMap<UnitId, Vec<(Timestamp, Timestamp)>>);

impl Hangs {
    /// As lanes tell it.
    pub(super) fn of(groups: &[Group]) -> Self {
        let mut hangs = Self::default();
        for lane in groups.iter().flat_map(|group| &group.lanes) {
            let hung = lane.spans.iter();
            for span in hung.filter(|span| span.doing == Doing::Hung) {
                let own = hangs.0.entry(lane.unit.clone()).or_default();
                own.push((span.from, span.to));
            }
        }
        hangs
    }

    /// Whether a look at this moment was one at a server that hung.
    pub(super) fn at(&self, unit: &UnitId, at: Timestamp) -> bool {
        let own = self.0.get(unit).into_iter().flatten();
        own.into_iter().any(|(from, to)| at > *from && at <= *to)
    }
}
