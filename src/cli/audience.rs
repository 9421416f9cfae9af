//! Who watches a drive: a live display, lines, JSON, or nobody.

use std::collections::BTreeMap;
use std::io;

use jiff::tz::TimeZone;

use super::args::EventFormat;
use super::printer::{Printer, Verbosity};
use crate::base::{Timestamp, UnitId, clean};
use crate::plan::Plan;
use crate::run::{Record, RunState};
use crate::supervise::Audience;
use crate::view::{Background, Json, Live, Plain, Quiet, View, Weight};

/// A view that a driver can talk to.
pub(super) struct Watching(Box<dyn View>);

impl Watching {
    /// Shows what was held back and clears what was temporary.
    pub(super) fn finish(&mut self) {
        self.0.finish();
    }
}

impl Audience for Watching {
    fn event(&mut self, record: &Record, state: &RunState) {
        self.0.event(record, state);
    }

    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &BTreeMap<UnitId, String>) {
        self.0.tick(now, state, tails);
    }

    fn message(&mut self, text: &str) {
        // It may name files and models as others wrote them.
        let lines: Vec<String> = text.lines().map(clean).collect();
        self.0.message(&lines.join("\n"));
    }
}

/// The view that was asked for, or that fits the terminal.
pub(super) fn audience(
    plan: &Plan,
    state: &RunState,
    format: EventFormat,
    printer: Printer,
) -> Watching {
    let zone = TimeZone::system();
    let view: Box<dyn View> = match format {
        EventFormat::Json => {
            let json = Json::new(io::stdout(), io::stderr());
            Box::new(Background::new(json, state.clone()))
        }
        _ if printer.verbosity() == Verbosity::Quiet => Box::new(Quiet),
        EventFormat::Auto if printer.live() && printer.verbosity() < Verbosity::Verbose => {
            let live = Live::new(plan.clone(), zone, printer.colour());
            Box::new(Background::new(live, state.clone()))
        }
        EventFormat::Auto | EventFormat::Plain => {
            let least = if printer.verbosity() == Verbosity::Verbose {
                Weight::Detail
            } else {
                Weight::Normal
            };
            let plain = Plain::new(io::stderr(), zone, least);
            Box::new(Background::new(plain, state.clone()))
        }
    };
    Watching(view)
}
