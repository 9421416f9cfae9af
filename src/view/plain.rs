//! One line per event, for logs and pipes: `08:12:03 orchestrator-0 ready after 41.2s`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use jiff::tz::TimeZone;

use super::sink::{Tails, View};
use super::{wall, words};
use crate::base::clean;
use crate::base::{EvalName, Millis, Timestamp, UnitId};
use crate::facts::Liveness;
use crate::run::{Event, GaveUp, InQueue, OutsideSeen, Record, RunState};

/// How much an event matters to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// A step on the way.
    Detail,
    /// Worth a line.
    Normal,
    /// Worth a line even beside a live display.
    Loud,
}

/// How much this event matters.
pub fn weight(event: &Event) -> Weight {
    match event {
        Event::LaunchIntended { generation, .. } if generation.0 > 1 => Weight::Normal,
        // No alarm says that one is over.
        Event::Judged {
            liveness: Liveness::Well,
            ..
        } => Weight::Normal,
        Event::LaunchIntended { .. }
        | Event::Launched { .. }
        | Event::Started { adopted: false, .. }
        | Event::Climbed { .. }
        // An alarm beside them says the same.
        | Event::Judged { .. }
        | Event::EvalHeld { .. }
        | Event::OutsideCall { .. }
        | Event::Routed { .. }
        | Event::BooksOpened { .. }
        | Event::ServerCounted { .. }
        | Event::BooksClosed { .. }
        | Event::StopIntended { .. } => Weight::Detail,
        Event::Exited { exit, .. } if exit.requested && exit.reason.is_none() => Weight::Detail,
        // A client may end; a server that does so has died, whatever its code.
        Event::Exited { unit, exit } if exit.code == Some(0) && is_client(unit) => Weight::Normal,
        Event::Exited { .. }
        | Event::Refuted { .. }
        | Event::LaunchFailed { .. }
        | Event::GaveUp { .. }
        | Event::Alarm { .. }
        | Event::FilesRaised { .. }
        | Event::EvalEnded { .. } => Weight::Loud,
        _ => Weight::Normal,
    }
}

fn is_client(unit: &UnitId) -> bool {
    unit.as_str().starts_with("eval-")
}

/// The record in one line, without its end.
pub fn line(record: &Record, zone: &TimeZone) -> String {
    format!(
        "{} {}",
        wall::time(record.at, zone),
        sentence(&record.event)
    )
}

/// What happened, in words.
pub(super) fn sentence(event: &Event) -> String {
    match event {
        Event::RunStarted {
            run,
            cluster,
            version,
            ..
        } => format!("run {run} of {cluster} began, toolorch {version}"),
        Event::OwnerTook { host, pid, .. } => format!("watched by {}, pid {pid}", clean(host)),
        Event::DownBegan { host, pid } => {
            format!("`toolorch down` stops it, on {}, pid {pid}", clean(host))
        }
        Event::ConfigWritten {
            path, endpoints, ..
        } => format!(
            "client config with {endpoints} endpoints written to {}",
            clean(path)
        ),
        Event::EvalProgress { eval, .. } => format!("{eval} {}", progress(event)),
        Event::FilesRaised {
            eval,
            pid,
            open,
            from,
            to,
        } => {
            format!("{eval}: process {pid} had {open} of {from} files open, its limit is {to} now")
        }
        Event::EvalWaits { eval, waits: None } => format!("{eval} goes on"),
        Event::EvalWaits {
            eval,
            waits: Some(waits),
        } => format!("{eval} {}", words::waits(waits)),
        Event::EvalDegraded { eval, degraded, .. } => {
            format!("{eval}: {}", words::degraded(degraded))
        }
        Event::RetryIntended { eval, ids } => {
            let results = if *ids == 1 { "result" } else { "results" };
            format!("{eval}: {ids} {results} in error to be asked again")
        }
        Event::EvalSlowed {
            eval, concurrency, ..
        } => {
            format!("{eval}: {concurrency} questions in flight from its next start on")
        }
        Event::EvalHeld { eval, why, .. } => format!("{eval} held: {}", clean(why)),
        Event::EvalResumed { eval, set_aside } => {
            format!("{eval} goes on; {set_aside} results in error of the outage are asked again")
        }
        Event::EvalEnded { eval, verdict } => format!("{eval} {}", words::verdict(verdict)),
        Event::Alarm { alarm, unit, text } => {
            let unit = unit
                .as_ref()
                .map_or_else(String::new, |id| format!(" {id}"));
            format!("alarm{unit} {}: {}", clean(alarm), clean(text))
        }
        Event::OwnerAway { length } => {
            format!("the controller stood still for {length}; what happened meanwhile was not seen")
        }
        Event::OutsideCall {
            eval,
            place,
            seen,
            times,
        } => {
            let what = match seen {
                OutsideSeen::Connected => "called",
                OutsideSeen::Refused => "was kept from calling",
            };
            format!("{eval} {what} {}, {times} so far", clean(place))
        }
        Event::BooksOpened { servers, .. } => {
            format!("the counters of {} servers were read", servers.len())
        }
        Event::ServerCounted { served } => {
            format!("{} had finished {} requests", served.unit, served.finished)
        }
        Event::BooksClosed { servers, .. } => format!(
            "the counters of {} servers were read for the last time",
            servers.len()
        ),
        Event::Routed { eval, looks, .. } => format!("{eval}: {looks} looks at its sockets"),
        Event::OwnerLeft { why, to_down } => {
            let goes_on = if *to_down {
                ""
            } else {
                "; what was started goes on"
            };
            format!("no longer watched ({}){goes_on}", clean(why))
        }
        Event::RunEnded { code, summary } => format!("run ended, exit {code}: {}", clean(summary)),
        event => of_unit(event),
    }
}

fn of_unit(event: &Event) -> String {
    match event {
        Event::LaunchIntended {
            unit, generation, ..
        } => format!("{unit} to be started, start {generation}"),
        Event::StartAwaited { unit, length, .. } => format!(
            "{unit}: an earlier controller meant to start it; whether that start is still on its way is waited for, {length} at most"
        ),
        Event::Launched { unit, handle, .. } => {
            let port = handle
                .port
                .map_or_else(String::new, |port| format!(", port {port}"));
            format!("{unit} launched as {}{port}", clean(&handle.native))
        }
        Event::Queued {
            unit, why, starts, ..
        } => {
            let (why, starts) = (why.clone(), starts.clone());
            format!(
                "{unit} waits: {}",
                words::in_queue(&InQueue { why, starts })
            )
        }
        Event::Placed { unit, place, .. } => format!("{unit} listens at {place}"),
        Event::LaunchFailed { unit, why, .. } => {
            format!("{unit} could not be started: {}", clean(why))
        }
        Event::Started {
            unit, pid, adopted, ..
        } => {
            let how = if *adopted { "found running" } else { "started" };
            format!("{unit} {how}, pid {pid}")
        }
        Event::Climbed {
            unit,
            rung,
            detail,
            after,
            ..
        } => {
            let detail = clean(detail);
            let gap = if detail.is_empty() { "" } else { ": " };
            format!("{unit} {} proved after {after}{gap}{detail}", clean(rung))
        }
        Event::Refuted {
            unit,
            rung,
            failure,
            ..
        } => format!(
            "{unit} {} refuted: {}; {}",
            clean(rung),
            clean(&failure.why),
            clean(&failure.fix)
        ),
        Event::Judged {
            unit,
            liveness,
            why,
            ..
        } => format!("{unit} {}: {}", words::liveness(*liveness), clean(why)),
        Event::Ready { unit, after, .. } => format!("{unit} ready after {after}"),
        Event::Exited { unit, exit } => format!("{unit} ended {}", words::ended(exit)),
        Event::GaveUp { unit, why } => format!("{unit} given up: {}", words::gave_up(why)),
        Event::StopIntended { unit, why, .. } => {
            format!("{unit} to be stopped: {}", words::stop_why(why))
        }
        Event::Stopped { unit, .. } => format!("{unit} stopped"),
        Event::Drained { unit } => format!("{unit} drained: it is not started again"),
        Event::Undrained { unit } => format!("{unit} may be started again"),
        other => format!("{other:?}"),
    }
}

/// `812/2158, 12 in error, 301 correct`; empty for other events.
fn progress(event: &Event) -> String {
    let Event::EvalProgress {
        done,
        errors,
        correct,
        torn,
        total,
        ..
    } = event
    else {
        return String::new();
    };
    let mut text = format!("{done}/{total}");
    for (count, what) in [
        (*errors, "in error"),
        (correct.unwrap_or(0), "correct"),
        (*torn, "torn set aside"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

/// Writes lines; progress is thinned out, but its first and last line always appear.
#[derive(Debug)]
pub struct Plain<W> {
    out: W,
    zone: TimeZone,
    least: Weight,
    progress: BTreeMap<EvalName, Progress>,
    /// Why starts were refused: units of one job meet the same refusal, which is written once.
    refusals: BTreeSet<String>,
}

/// What was last written of an evaluation, and what was held back since.
#[derive(Debug, Default)]
struct Progress {
    written: Option<Timestamp>,
    held: Option<Record>,
}

impl<W: Write> Plain<W> {
    /// The shortest time between two lines about one evaluation.
    const PAUSE: Millis = Millis::from_secs(5);

    /// Lines for events that matter at least so much.
    pub fn new(out: W, zone: TimeZone, least: Weight) -> Self {
        Self {
            out,
            zone,
            least,
            progress: BTreeMap::new(),
            refusals: BTreeSet::new(),
        }
    }

    fn write(&mut self, record: &Record) {
        let line = self.said_before(&record.event).map_or_else(
            || line(record, &self.zone),
            |said| format!("{} {said}", wall::time(record.at, &self.zone)),
        );
        self.put(&line);
    }

    /// What is left to say of a refusal whose reason is written already.
    fn said_before(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::LaunchFailed { unit, why, .. } => (!self.refusals.insert(why.clone()))
                .then(|| format!("{unit} could not be started, for the same reason as above")),
            Event::GaveUp {
                unit,
                why: GaveUp::Permanent { why },
            } if self.refusals.contains(why) => Some(format!("{unit} given up")),
            _ => None,
        }
    }

    fn put(&mut self, line: &str) {
        // A reader that went away does not stop an evaluation.
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    fn thin(&mut self, eval: &EvalName, record: &Record) {
        let known = self.progress.entry(eval.clone()).or_default();
        let due = known
            .written
            .is_none_or(|last| record.at.since(last) >= Self::PAUSE);
        if due {
            known.written = Some(record.at);
            known.held = None;
            self.write(record);
        } else {
            known.held = Some(record.clone());
        }
    }

    /// Writes what is held back where the last line is so old, and goes on thinning.
    fn release_held(&mut self, now: Timestamp, pause: Millis) {
        let due = |known: &&mut Progress| known.written.is_none_or(|last| now.since(last) >= pause);
        let known = self.progress.values_mut().filter(due);
        let held: Vec<Record> = known
            .filter_map(|known| {
                let held = known.held.take()?;
                known.written = Some(now);
                Some(held)
            })
            .collect();
        for record in &held {
            self.write(record);
        }
    }

    fn release(&mut self, eval: &EvalName) {
        if let Some(held) = self.progress.remove(eval).and_then(|known| known.held) {
            self.write(&held);
        }
    }
}

impl<W: Write> View for Plain<W> {
    fn event(&mut self, record: &Record, _: &RunState) {
        match &record.event {
            event if weight(event) < self.least => {}
            Event::EvalProgress { eval, .. } => self.thin(eval, record),
            Event::EvalEnded { eval, .. } => {
                self.release(eval);
                self.write(record);
            }
            _ => {
                // Lines come in the order of time.
                self.release_held(record.at, Millis(0));
                self.write(record);
            }
        }
    }

    fn tick(&mut self, now: Timestamp, _: &RunState, _: &Tails) {
        self.release_held(now, Self::PAUSE);
    }

    fn message(&mut self, text: &str) {
        self.put(text);
    }

    fn finish(&mut self) {
        let evals: Vec<EvalName> = self.progress.keys().cloned().collect();
        for eval in &evals {
            self.release(eval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Verdict;
    use crate::view::testing::{DAWN, Story};

    fn shown(story: &Story, least: Weight) -> String {
        let mut out = Vec::new();
        let mut view = Plain::new(&mut out, TimeZone::UTC, least);
        for record in &story.records {
            view.event(record, &story.state);
        }
        view.finish();
        String::from_utf8(out).unwrap()
    }

    /// One of each event that a short run has.
    fn run() -> Story {
        let mut story = Story::begun();
        story.wait(150).start("orchestrator-0").wait(40_000);
        story
            .climb("orchestrator-0", "health")
            .wait(1200)
            .ready("orchestrator-0");
        story.start("retrieval").wait(100);
        story.die("retrieval", 139, "  \u{1b}]0;x\u{7}Segmentation fault\r");
        story.refute(
            "orchestrator-0",
            "tool call",
            "it came as text",
            "set `tool_parser: hermes`",
        );
        story.give_up("retrieval", GaveUp::Budget { starts: 3 });
        story.tell(Event::StartAwaited {
            unit: UnitId::new("orchestrator-1"),
            generation: crate::base::Generation(1),
            length: Millis::from_secs(14),
        });
        story.alarm(
            "first-results-all-errors",
            "the first 8 results are all errors",
        );
        story.tell(Event::OwnerAway {
            length: Millis::from_secs(600),
        });
        story.tell(Event::OwnerLeft {
            why: "SIGTERM".to_owned(),
            to_down: false,
        });
        story.tell(Event::RunEnded {
            code: 6,
            summary: "gave up".to_owned(),
        });
        story
    }

    #[test]
    fn every_event_has_a_line() {
        insta::assert_snapshot!(shown(&run(), Weight::Detail), @r"
        00:00:00 run night-1-abcd of night began, toolorch 0.1.0
        00:00:00 watched by desk, pid 4242
        00:00:00 orchestrator-0 to be started, start 1
        00:00:00 orchestrator-0 launched as pid 77, port 1800
        00:00:00 orchestrator-0 started, pid 77
        00:00:40 orchestrator-0 health proved after 40.0s
        00:00:41 orchestrator-0 ready after 41.2s
        00:00:41 retrieval to be started, start 1
        00:00:41 retrieval launched as pid 77, port 1800
        00:00:41 retrieval started, pid 77
        00:00:41 retrieval ended with code 139 (SIGSEGV inferred): Segmentation fault
        00:00:41 orchestrator-0 tool call refuted: it came as text; set `tool_parser: hermes`
        00:00:41 retrieval given up: each of its 3 starts ended, and `restart` allows no more
        00:00:41 orchestrator-1: an earlier controller meant to start it; whether that start is still on its way is waited for, 14.0s at most
        00:00:41 alarm first-results-all-errors: the first 8 results are all errors
        00:00:41 the controller stood still for 10m 00s; what happened meanwhile was not seen
        00:00:41 no longer watched (SIGTERM); what was started goes on
        00:00:41 run ended, exit 6: gave up
        ");
    }

    #[test]
    fn a_refusal_that_several_units_meet_is_told_once() {
        let mut story = Story::begun();
        let why = "SLURM here: Invalid partition name; change `slurm.partition`";
        for unit in ["orchestrator-0", "orchestrator-1"] {
            let generation = crate::base::Generation(1);
            story.tell(Event::LaunchFailed {
                unit: UnitId::new(unit),
                generation,
                why: why.to_owned(),
            });
            let why = why.to_owned();
            story.give_up(unit, GaveUp::Permanent { why });
        }
        insta::assert_snapshot!(shown(&story, Weight::Loud), @r"
        00:00:00 orchestrator-0 could not be started: SLURM here: Invalid partition name; change `slurm.partition`
        00:00:00 orchestrator-0 given up
        00:00:00 orchestrator-1 could not be started, for the same reason as above
        00:00:00 orchestrator-1 given up
        ");
    }

    #[test]
    fn details_are_left_out() {
        insta::assert_snapshot!(shown(&run(), Weight::Normal), @r"
        00:00:00 run night-1-abcd of night began, toolorch 0.1.0
        00:00:00 watched by desk, pid 4242
        00:00:41 orchestrator-0 ready after 41.2s
        00:00:41 retrieval ended with code 139 (SIGSEGV inferred): Segmentation fault
        00:00:41 orchestrator-0 tool call refuted: it came as text; set `tool_parser: hermes`
        00:00:41 retrieval given up: each of its 3 starts ended, and `restart` allows no more
        00:00:41 orchestrator-1: an earlier controller meant to start it; whether that start is still on its way is waited for, 14.0s at most
        00:00:41 alarm first-results-all-errors: the first 8 results are all errors
        00:00:41 the controller stood still for 10m 00s; what happened meanwhile was not seen
        00:00:41 no longer watched (SIGTERM); what was started goes on
        00:00:41 run ended, exit 6: gave up
        ");
        insta::assert_snapshot!(shown(&run(), Weight::Loud), @r"
        00:00:41 retrieval ended with code 139 (SIGSEGV inferred): Segmentation fault
        00:00:41 orchestrator-0 tool call refuted: it came as text; set `tool_parser: hermes`
        00:00:41 retrieval given up: each of its 3 starts ended, and `restart` allows no more
        00:00:41 alarm first-results-all-errors: the first 8 results are all errors
        ");
    }

    #[test]
    fn progress_is_thinned_but_for_its_first_and_last_line() {
        let mut story = Story::new();
        for done in 0..=20 {
            story.progress("hle", done, 20).wait(1000);
        }
        story.end("hle", Verdict::Complete);
        insta::assert_snapshot!(shown(&story, Weight::Normal), @r"
    00:00:00 hle 0/20
    00:00:05 hle 5/20, 2 correct
    00:00:10 hle 10/20, 5 correct
    00:00:15 hle 15/20, 7 correct
    00:00:20 hle 20/20, 1 in error, 10 correct
    00:00:21 hle complete
    ");
    }

    #[test]
    fn held_progress_is_shown_in_time() {
        let mut story = Story::new();
        story.progress("hle", 1, 9).wait(1000).progress("hle", 2, 9);
        let mut out = Vec::new();
        let mut view = Plain::new(&mut out, TimeZone::UTC, Weight::Normal);
        for record in &story.records {
            view.event(record, &story.state);
        }
        let tails = Tails::new();
        view.tick(DAWN + Millis(4000), &story.state, &tails);
        view.message("a message");
        view.tick(DAWN + Millis(5000), &story.state, &tails);
        view.finish();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        00:00:00 hle 1/9
        a message
        00:00:01 hle 2/9, 1 correct
        ");
    }

    #[test]
    fn lines_come_in_the_order_of_time() {
        let mut story = Story::new();
        story.progress("hle", 1, 9).wait(1000).progress("hle", 2, 9);
        story.wait(1000).tell(Event::OwnerLeft {
            why: "SIGINT".to_owned(),
            to_down: false,
        });
        insta::assert_snapshot!(shown(&story, Weight::Normal), @r"
        00:00:00 hle 1/9
        00:00:01 hle 2/9, 1 correct
        00:00:02 no longer watched (SIGINT); what was started goes on
        ");
    }

    #[test]
    fn hostile_text_is_harmless() {
        let mut story = Story::new();
        story.alarm("x\u{1b}[2J", "a\n08:00:00 orchestrator-0 ready\u{202e}");
        let text = shown(&story, Weight::Detail);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}
