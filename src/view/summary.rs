//! The last lines of `up`: what ended how, what keeps running, and how to stop it.

use std::fmt::Write as _;

use super::words;
use crate::base::{ExitStatus, Timestamp};
use crate::plan::Plan;
use crate::run::{GaveUp, RunState, UnitPhase};

/// What the summary cannot read from the run.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// How `up` ends.
    pub status: ExitStatus,
    /// When.
    pub now: Timestamp,
    /// The command that stops everything: `toolorch down clusters/hle-oss.yaml`.
    pub stop_with: &'a str,
    /// Tables of results, ready to print; empty if there are none, or they stand elsewhere.
    pub tables: &'a str,
    /// The command that reports on the run, where there is something to report.
    pub report_with: Option<&'a str>,
}

/// The last lines of `up`, each with its end.
pub fn summary(plan: &Plan, run: &RunState, ending: &Ending) -> String {
    let mut out = String::new();
    let width = plan.evals.iter().map(|eval| eval.name.as_str().len()).max();
    let width = width.unwrap_or(0);
    for eval in &plan.evals {
        let text = words::eval(eval, plan, run, &super::pace::Pace::default()).text;
        let _ = writeln!(out, "{:width$}  {text}", eval.name.as_str());
    }
    for (why, units) in given_up(plan, run) {
        let _ = writeln!(out, "{} given up: {why}", units.join(", "));
    }
    if !ending.tables.trim().is_empty() {
        let _ = write!(out, "\n{}\n\n", ending.tables.trim_end());
    }
    out.push_str(&left_running(plan, run, ending.stop_with));
    if let Some(command) = ending.report_with {
        let _ = writeln!(out, "what limited it, and all tables: {command}");
    }
    let began = run.owner.as_ref().map_or(run.since, |owner| owner.since);
    let length = ending.now.since(began);
    match ending.status {
        ExitStatus::Done => {
            let _ = writeln!(out, "done in {length}");
        }
        status => {
            let _ = writeln!(out, "exit code {status}, after {length}");
        }
    }
    out
}

/// Why servers were given up, each reason once with all whose reason it is.
fn given_up<'a>(plan: &'a Plan, run: &RunState) -> Vec<(String, Vec<&'a str>)> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for unit in plan.servers() {
        let state = run.unit(&unit.id);
        let UnitPhase::GaveUp(why) = &state.phase else {
            continue;
        };
        let exit = state.exit.filter(|_| matches!(why, GaveUp::Budget { .. }));
        let last = exit.map_or_else(String::new, |exit| {
            format!("; the last one ended {}", words::ended(&exit))
        });
        let text = format!("{}{last}", words::gave_up(why));
        match all.iter_mut().find(|(known, _)| *known == text) {
            Some((_, units)) => units.push(unit.id.as_str()),
            None => all.push((text, vec![unit.id.as_str()])),
        }
    }
    all
}

fn left_running(plan: &Plan, run: &RunState, stop_with: &str) -> String {
    let living = |is_server: bool, waits: bool| {
        let units = plan.units.iter();
        let of_kind = units.filter(|unit| unit.port.is_some() == is_server);
        let states = of_kind.map(|unit| run.unit(&unit.id));
        let living = states.filter(|unit| unit.phase.may_live() && !unit.never_sent());
        living.filter(|unit| unit.queued.is_some() == waits).count()
    };
    let count = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {what}{plural}"))
    };
    let (servers, clients) = (living(true, false), living(false, false));
    let running = [count(servers, "server"), count(clients, "evaluation")];
    let running: Vec<String> = running.into_iter().flatten().collect();
    let keep = if servers + clients == 1 {
        "keeps running"
    } else {
        "keep running"
    };
    let running = (!running.is_empty()).then(|| format!("{} {keep}", running.join(" and ")));
    let waiting = living(true, true);
    let wait = if waiting == 1 {
        "waits in the queue"
    } else {
        "wait in the queue"
    };
    let waiting = count(waiting, "server").map(|what| format!("{what} {wait}"));
    let servers = plan.servers().map(|unit| run.unit(&unit.id));
    let unsent = servers.filter(|unit| unit.never_sent() && unit.queued.is_some());
    let was = |unsent: usize| if unsent == 1 { "was" } else { "were" };
    let unsent = unsent.count();
    let unsent =
        count(unsent, "server").map(|what| format!("{what} {} not submitted", was(unsent)));
    let left: Vec<String> = [running, waiting].into_iter().flatten().collect();
    let said = if left.is_empty() {
        "nothing of this run is left running".to_owned()
    } else {
        left.join(", ")
    };
    let unsent = unsent.map_or_else(String::new, |unsent| format!("; {unsent}"));
    let stop = if left.is_empty() {
        String::new()
    } else {
        format!("; to stop: {stop_with}")
    };
    format!("{said}{unsent}{stop}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Generation, LaunchId, UnitId};
    use crate::run::{Event, StopWhy, Verdict};
    use crate::view::testing::{Story, plan};

    fn text(story: &Story, status: ExitStatus, tables: &str) -> String {
        let ending = Ending {
            status,
            now: story.now(),
            stop_with: "toolorch down night.yaml",
            tables,
            report_with: (status == ExitStatus::Done).then_some("toolorch report night-1-abcd"),
        };
        summary(&plan(2), &story.state, &ending)
    }

    fn up() -> Story {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1", "retrieval"] {
            story.start(unit).ready(unit);
        }
        story
            .start("eval-hle")
            .wait(21_300)
            .progress("hle", 200, 200);
        story
    }

    #[test]
    fn a_good_end() {
        let mut story = up();
        story.end("hle", Verdict::Complete);
        story
            .progress("frames", 824, 824)
            .end("frames", Verdict::Complete);
        for unit in ["orchestrator-0", "orchestrator-1", "retrieval", "eval-hle"] {
            let unit = UnitId::new(unit);
            let generation = story.state.unit(&unit).generation;
            story.tell(Event::StopIntended {
                unit: unit.clone(),
                generation,
                why: StopWhy::Done,
            });
            story.tell(Event::Stopped { unit, generation });
        }
        insta::assert_snapshot!(text(&story, ExitStatus::Done, "model  calls\nm        12\n"), @r"
        hle     complete · 200/200 (100 %) · 10 in error · 100 correct
        frames  complete · 824/824 (100 %) · 41 in error · 412 correct

        model  calls
        m        12

        nothing of this run is left running
        what limited it, and all tables: toolorch report night-1-abcd
        done in 21.3s
        ");
    }

    #[test]
    fn an_interrupted_run_says_what_goes_on() {
        insta::assert_snapshot!(text(&up(), ExitStatus::Interrupted, ""), @r"
        hle     200/200 (100 %) · 10 in error · 100 correct
        frames  waits for hle
        3 servers and 1 evaluation keep running; to stop: toolorch down night.yaml
        exit code 130 (interrupted; what was started keeps running), after 21.3s
        ");
    }

    #[test]
    fn what_waits_in_a_queue_does_not_run() {
        let mut story = Story::begun();
        story.start("orchestrator-0").ready("orchestrator-0");
        let unit = UnitId::new("orchestrator-1");
        story.start(unit.as_str());
        let generation = story.state.unit(&unit).generation;
        story.tell(Event::Queued {
            unit,
            generation,
            why: "job 7: the nodes are busy (Resources)".to_owned(),
            starts: None,
        });
        insta::assert_snapshot!(left_running(&plan(2), &story.state, "toolorch down"), @"1 server keeps running, 1 server waits in the queue; to stop: toolorch down");
    }

    #[test]
    fn what_was_never_started_does_not_run() {
        let mut story = Story::begun();
        story.start("orchestrator-0").ready("orchestrator-0");
        let intended = |unit: &str| Event::LaunchIntended {
            unit: UnitId::new(unit),
            generation: Generation(1),
            launch: LaunchId::new("l"),
            script: None,
        };
        let (unit, generation) = (UnitId::new("orchestrator-1"), Generation(1));
        story.tell(intended(unit.as_str()));
        story.tell(Event::Queued {
            unit,
            generation,
            why: "SLURM does not answer".to_owned(),
            starts: None,
        });
        insta::assert_snapshot!(left_running(&plan(2), &story.state, "toolorch down"), @"1 server keeps running; 1 server was not submitted; to stop: toolorch down");
        let unit = UnitId::new("retrieval");
        story.tell(intended(unit.as_str()));
        story.tell(Event::LaunchFailed {
            unit: unit.clone(),
            generation,
            why: "no space left on device".to_owned(),
        });
        story.tell(Event::StopIntended {
            unit,
            generation,
            why: StopWhy::Remnants,
        });
        insta::assert_snapshot!(left_running(&plan(2), &story.state, "toolorch down"), @"1 server keeps running; 1 server was not submitted; to stop: toolorch down");
    }

    #[test]
    fn those_that_were_given_up_for_one_reason_share_a_line() {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1"] {
            let why = "change `slurm.partition`".to_owned();
            story.give_up(unit, GaveUp::Permanent { why });
        }
        let text = text(&story, ExitStatus::GaveUp, "");
        let lines = text.lines().filter(|line| line.contains("given up"));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"orchestrator-0, orchestrator-1 given up: change `slurm.partition`");
    }

    #[test]
    fn a_bad_end() {
        let mut story = up();
        story.die("eval-hle", 1, "Errno 24");
        let why = "the client ended twice without a new result".to_owned();
        story.end("hle", Verdict::Incomplete { missing: 12, why });
        let why = "`hle` is not complete".to_owned();
        story.end("frames", Verdict::NotStarted { why, code: 5 });
        let why = GaveUp::Permanent {
            why: "port 8765 is taken by pid 12".to_owned(),
        };
        story.give_up("retrieval", why);
        insta::assert_snapshot!(text(&story, ExitStatus::GaveUp, ""), @r"
        hle     incomplete, 12 missing: the client ended twice without a new result · 200/200 (100 %) · 10 in error · 100 correct
        frames  not started: `hle` is not complete
        retrieval given up: port 8765 is taken by pid 12
        2 servers keep running; to stop: toolorch down night.yaml
        exit code 6 (gave up: restart budget spent, or stalled), after 21.3s
        ");
    }
}
