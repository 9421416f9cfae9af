//! Which lines a live display shows when there is room for so many.

use std::collections::BTreeMap;

use super::pace::Pace;
use super::sink::Tails;
use super::words::{self, Mood};
use crate::base::Timestamp;
use crate::base::last_line;
use crate::plan::{Group, Plan, Unit};
use crate::run::{RunState, UnitPhase};

/// One line of a live display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How it is going: the colour, and what is shown first when room is short.
    pub mood: Mood,
    /// A unit below its group's line.
    pub inner: bool,
    /// Model, service, unit or evaluation.
    pub name: String,
    /// The rung or phase in words.
    pub text: String,
    /// The last line of its log.
    pub tail: String,
}

/// The lines for servers and clients, at most `room` of them.
///
/// A group whose units are all as they should be takes one line, the others one for each unit that
/// is not.  Where that is too much, what went wrong comes first, then what is on its way, and the
/// last line says how many are left out.
pub fn rows(plan: &Plan, run: &RunState, now: Timestamp, tails: &Tails, room: usize) -> Vec<Row> {
    let mut all: Vec<Row> = plan
        .groups
        .iter()
        .flat_map(|group| group_rows(group, plan, run, now, tails))
        .collect();
    all.extend(plan.evals.iter().filter_map(|eval| {
        let client = plan.unit(&eval.unit)?;
        let state = run.unit(&client.id);
        if state.phase == UnitPhase::Planned {
            return None;
        }
        // Its progress has a bar; the line shows trouble and the client's pulse.
        let words::EvalWords { text, mood, .. } = words::eval(eval, plan, run, &Pace::default());
        let text = if mood == Mood::Bad {
            text
        } else {
            String::new()
        };
        let row = row(mood, false, eval.name.to_string(), text, client, tails);
        (!row.text.is_empty() || !row.tail.is_empty()).then_some(row)
    }));
    if all.len() <= room {
        return all;
    }
    squeeze(all, room)
}

fn group_rows(
    group: &Group,
    plan: &Plan,
    run: &RunState,
    now: Timestamp,
    tails: &Tails,
) -> Vec<Row> {
    let units: Vec<(&Unit, Mood)> = group
        .endpoints
        .iter()
        .filter_map(|endpoint| plan.unit(&endpoint.unit))
        .map(|unit| (unit, words::mood(&run.unit(&unit.id))))
        .collect();
    if let [(unit, mood)] = units.as_slice() {
        let text = words::server(unit, run, now);
        return vec![row(*mood, false, unit.id.to_string(), text, unit, tails)];
    }
    let phases: Vec<UnitPhase> = units
        .iter()
        .map(|(unit, _)| run.unit(&unit.id).phase)
        .collect();
    let over = |phase: &UnitPhase| matches!(phase, UnitPhase::Stopping | UnitPhase::Stopped);
    if phases.iter().all(over) {
        return vec![Row {
            mood: Mood::Idle,
            inner: false,
            name: group.name.to_string(),
            text: words::phase(if phases.contains(&UnitPhase::Stopping) {
                &UnitPhase::Stopping
            } else {
                &UnitPhase::Stopped
            })
            .to_owned(),
            tail: String::new(),
        }];
    }
    let worst = units.iter().map(|(_, mood)| *mood).min();
    let ready = phases
        .iter()
        .filter(|phase| matches!(phase, UnitPhase::Ready(_)));
    let ready = ready.count();
    let drained = units
        .iter()
        .filter(|(unit, _)| words::is_drained(&run.unit(&unit.id)))
        .count();
    let drained = match drained {
        0 => String::new(),
        count => format!(", {count} drained"),
    };
    let head = Row {
        mood: worst.unwrap_or(Mood::Idle),
        inner: false,
        name: group.name.to_string(),
        text: format!("{ready}/{} ready{drained}", units.len()),
        tail: String::new(),
    };
    let rest = units
        .iter()
        .filter(|(_, mood)| matches!(mood, Mood::Bad | Mood::Busy))
        .map(|(unit, mood)| {
            let text = words::server(unit, run, now);
            row(*mood, true, unit.id.to_string(), text, unit, tails)
        });
    std::iter::once(head).chain(rest).collect()
}

fn row(mood: Mood, inner: bool, name: String, text: String, unit: &Unit, tails: &Tails) -> Row {
    // A server that is ready has nothing to say; a client's log is the evaluation's pulse.
    let silent = unit.port.is_some() && matches!(mood, Mood::Good | Mood::Idle);
    let tail = tails.get(&unit.id).filter(|_| !silent);
    Row {
        mood,
        inner,
        name,
        text,
        tail: tail.map_or_else(String::new, |tail| last_line(tail)),
    }
}

/// Keeps the most urgent rows, in their old order, and counts the rest in the last one.
fn squeeze(all: Vec<Row>, room: usize) -> Vec<Row> {
    let Some(kept) = room.checked_sub(1) else {
        return Vec::new();
    };
    let mut urgent: Vec<usize> = (0..all.len()).collect();
    urgent.sort_by_key(|index| (all[*index].mood, all[*index].inner));
    urgent.truncate(kept);
    urgent.sort_unstable();
    let mut left_out: BTreeMap<Mood, usize> = BTreeMap::new();
    let mut shown = Vec::with_capacity(room);
    for (index, row) in all.into_iter().enumerate() {
        if urgent.binary_search(&index).is_ok() {
            shown.push(row);
        } else {
            *left_out.entry(row.mood).or_default() += 1;
        }
    }
    let counts: Vec<String> = left_out
        .iter()
        .map(|(mood, count)| {
            let word = match mood {
                Mood::Bad => "in trouble",
                Mood::Busy => "on their way",
                Mood::Good => "ready",
                Mood::Idle => "idle",
            };
            format!("{count} {word}")
        })
        .collect();
    shown.push(Row {
        mood: Mood::Idle,
        inner: true,
        name: "…".to_owned(),
        text: format!("and {}", counts.join(", ")),
        tail: String::new(),
    });
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UnitId;
    use crate::run::Event;
    use crate::view::testing::{Story, plan};

    fn shown(replicas: usize, story: &Story, room: usize) -> String {
        let tails = Tails::from([
            (
                UnitId::new("orchestrator-1"),
                "a\nINFO \u{1b}[32mloading\u{1b}[0m 3/9\n".to_owned(),
            ),
            (UnitId::new("orchestrator-0"), "INFO 200 OK".to_owned()),
            (
                UnitId::new("eval-hle"),
                "Finished q1\rFinished q2".to_owned(),
            ),
        ]);
        rows(&plan(replicas), &story.state, story.now(), &tails, room)
            .iter()
            .map(|row| {
                let indent = if row.inner { "  " } else { "" };
                let line = format!("{indent}{} | {} | {}", row.name, row.text, row.tail);
                line.trim_end_matches(" | ").to_owned()
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn story() -> Story {
        let mut story = Story::begun();
        for index in 0..6 {
            story.wait(100).start(&format!("orchestrator-{index}"));
        }
        story
            .wait(3000)
            .ready("orchestrator-0")
            .ready("orchestrator-3");
        story
            .climb("orchestrator-1", "listening")
            .die("orchestrator-4", 1, "no such model");
        story
    }

    #[test]
    fn what_is_not_ready_has_a_line() {
        insta::assert_snapshot!(shown(6, &story(), 20), @r"
        orchestrator | 2/6 ready
          orchestrator-1 | waits for health (1/3) for 3s | INFO loading 3/9
          orchestrator-2 | waits for listening (0/3) for 3s
          orchestrator-4 | ended with code 1: no such model; start 2 of 4 in 5s
          orchestrator-5 | waits for listening (0/3) for 3s
        retrieval | not started
        ");
    }

    #[test]
    fn short_room_shows_trouble_first() {
        insta::assert_snapshot!(shown(6, &story(), 4), @r"
        orchestrator | 2/6 ready
          orchestrator-1 | waits for health (1/3) for 3s | INFO loading 3/9
          orchestrator-4 | ended with code 1: no such model; start 2 of 4 in 5s
          … | and 2 on their way, 1 idle
        ");
        assert_eq!(shown(6, &story(), 1).lines().count(), 1);
        assert_eq!(shown(6, &story(), 0), "");
    }

    #[test]
    fn all_ready_takes_a_line_per_group() {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1", "retrieval"] {
            story.start(unit).ready(unit);
        }
        story.start("eval-hle").progress("hle", 10, 40);
        insta::assert_snapshot!(shown(2, &story, 20), @r"
        orchestrator | 2/2 ready
        retrieval | ready after 0ms
        hle |  | Finished q2
        ");
    }

    #[test]
    fn drained_servers_are_counted() {
        let mut story = Story::begun();
        story.start("orchestrator-0").ready("orchestrator-0");
        let unit = UnitId::new("orchestrator-1");
        story.tell(Event::Drained { unit });
        insta::assert_snapshot!(shown(2, &story, 20), @r"
        orchestrator | 1/2 ready, 1 drained
        retrieval | not started
        ");
    }

    #[test]
    fn there_is_never_more_than_room_allows() {
        for room in 0..40 {
            assert!(shown(30, &story(), room).lines().count() <= room);
        }
    }
}
