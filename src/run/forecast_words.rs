//! A forecast in words: one line for each kind of act.

use super::forecast::{Act, Forecast};
use crate::base::{EvalName, UnitId};
use crate::spec::model::RetryErrors;

/// What is said of an act; those with the same head share a line.
struct Words {
    /// Where that line stands among the others.
    place: u8,
    /// What happens.
    head: String,
    /// To whom, and why.
    item: String,
    /// What that means, or what to do.
    tail: &'static str,
}

/// Whoever is stopped at work throws away what it is waiting for.
const IN_FLIGHT: &str = "; questions in flight are asked again";

impl Forecast {
    /// One line for each kind of act; none where all goes on as it is. `yaml` is the cluster's file.
    pub fn lines(&self, yaml: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.complete {
            lines.push("nothing is started: every question has its result already".to_owned());
        }
        lines.extend(lines_of(&self.acts));
        lines.extend(self.lines_without_evals(yaml));
        lines
    }

    /// What the results keep from happening, in lines, and how it happens all the same.
    pub fn lines_without_evals(&self, yaml: &str) -> Vec<String> {
        let lines = lines_of(&self.without_evals).into_iter();
        lines
            .map(|line| format!("only with `toolorch up {yaml} --no-eval`: {line}"))
            .collect()
    }
}

fn lines_of(acts: &[Act]) -> Vec<String> {
    let mut lines: Vec<(Words, Vec<String>)> = Vec::new();
    for act in acts {
        let mut words = words(act);
        let item = std::mem::take(&mut words.item);
        match lines.iter_mut().find(|(known, _)| known.head == words.head) {
            Some((_, items)) => items.push(item),
            None => lines.push((words, vec![item])),
        }
    }
    lines.sort_by_key(|(words, _)| words.place);
    lines
        .iter()
        .map(|(Words { head, tail, .. }, items)| format!("{head}: {}{tail}", items.join(", ")))
        .collect()
}

fn words(act: &Act) -> Words {
    let line = |place, head: &str, item: String, tail| Words {
        place,
        head: head.to_owned(),
        item,
        tail,
    };
    match act {
        Act::Restarted { unit, why } => line(0, "restarted", format!("{unit} ({why})"), ""),
        Act::Stopped { unit } => line(1, "stopped", unit.to_string(), ""),
        Act::TakenDown => {
            let why = "all that runs, since `when_done` says so".to_owned();
            line(1, "taken down", why, "")
        }
        Act::Started { unit } => line(2, "started", unit.to_string(), ""),
        Act::Added { unit } => line(3, "started in addition", unit.to_string(), ""),
        Act::QueuedAnew { unit } => {
            let tail = "; its job is submitted again, and its place in the queue is lost";
            line(4, "waits anew", unit.to_string(), tail)
        }
        Act::StartedAgain { unit, why } => line(4, "started again", format!("{unit} ({why})"), ""),
        Act::Absent { unit } => line(5, "not there, and not started", unit.to_string(), ""),
        Act::ClientRestarted { unit, why } => {
            line(6, "client restarted", format!("{unit} ({why})"), IN_FLIGHT)
        }
        Act::ClientHeld { unit, without } => {
            let head = format!("client held if `{without}` is without a server for 10s");
            line(7, &head, unit.to_string(), IN_FLIGHT)
        }
        Act::ClientStarted {
            unit,
            missing,
            total,
        } => line(8, "client started", client(unit, *missing, *total), ""),
        Act::AskedAgain {
            eval,
            errors,
            rule,
            later,
        } => {
            let head = if *later {
                "asked again when nothing else is left"
            } else {
                "asked again"
            };
            line(9, head, in_error(eval, *errors, *rule), "")
        }
        Act::Unused { unit, eval } => {
            let head = format!("unused by the running client of `{eval}`");
            let tail = "; to make it use them: toolorch up --restart-eval";
            line(10, &head, unit.to_string(), tail)
        }
        Act::StaysDrained { unit } => {
            let tail = "; back again: toolorch drain --undo";
            line(11, "stays drained", unit.to_string(), tail)
        }
        Act::LeftAlone { unit } => {
            let head = "left alone, since the journal does not know it";
            line(12, head, unit.to_string(), " (toolorch down ends it)")
        }
        Act::Unseen { unit, why } => {
            let head = "left as it is until it can be looked at";
            line(13, head, format!("{unit} ({why})"), "")
        }
        Act::JobKept { job, what } => {
            let head = "kept until they end, since a job that runs cannot be changed";
            line(14, head, format!("job {job} ({what})"), "")
        }
        Act::HeldAgainst { eval } => {
            let why =
                format!("calls to undeclared places are held against the results of `{eval}`");
            line(15, "ends with exit code 7", why, "")
        }
    }
}

fn client(unit: &UnitId, missing: usize, total: usize) -> String {
    match (missing, total) {
        (0, _) | (_, 0) => unit.to_string(),
        _ => format!("{unit} ({missing} of {total} results missing)"),
    }
}

fn in_error(eval: &EvalName, errors: usize, rule: RetryErrors) -> String {
    let results = if errors == 1 { "result" } else { "results" };
    let rule = match rule {
        RetryErrors::Infra => "infra",
        RetryErrors::All => "all",
        RetryErrors::None => "none",
    };
    format!("{errors} {results} of `{eval}` in error (`retry_errors: {rule}`)")
}
