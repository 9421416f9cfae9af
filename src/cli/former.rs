//! Machines on which an earlier plan of a run started something, and that its last plan does not have: `down` asks them, too.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::fleet::{Wanted, wanted};
use super::runs;
use crate::base::UnitId;
use crate::plan::Plan;
use crate::run::RunState;
use crate::run::store::{Mode, RunDir, StoreError, read_regular, write_atomically};

/// The version of its form.
const FORMAT: u32 = 1;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    format: u32,
    machines: Vec<Former>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Former {
    /// Which, and how to reach it.
    pub(super) wanted: Wanted,
    /// Units whose end was not on record when the plan let it go.
    pub(super) open: BTreeSet<UnitId>,
}

/// Those of a run.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub(super) fn of(dir: &RunDir) -> Result<Vec<Former>, StoreError> {
    let path = dir.former();
    let bytes = match read_regular(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("read", &path))?,
    };
    let damaged = |error: serde_json::Error| StoreError::Damaged {
        path: path.clone(),
        line: error.line(),
        why: error.to_string(),
    };
    let kept: Kept = serde_json::from_slice(&bytes).map_err(damaged)?;
    if kept.format > FORMAT {
        return Err(StoreError::Newer {
            path,
            found: kept.format,
            known: FORMAT,
        });
    }
    Ok(kept.machines)
}

/// Keeps what the plan that is about to be replaced by `plan` had and this one has not.
///
/// # Errors
/// The file cannot be read or written.
pub(super) fn keep(dir: &RunDir, plan: &Plan, state: &RunState) -> Result<(), StoreError> {
    // Of a run whose plan is gone or damaged nobody can tell where its units were.
    let Ok(before) = runs::read_plan(dir) else {
        return Ok(());
    };
    let kept = of(dir)?;
    let machines = let_go(&kept, &before, plan, state);
    if machines == kept {
        return Ok(());
    }
    let path = dir.former();
    let format = FORMAT;
    let text = serde_json::to_vec(&Kept { format, machines })
        .map_err(|error| StoreError::io("write", &path)(error.into()))?;
    write_atomically(&path, &text, Mode::Private)
}

/// Forgets all of them: nothing of the run is left there.
///
/// # Errors
/// The file cannot be removed.
pub(super) fn forget(dir: &RunDir) -> Result<(), StoreError> {
    let path = dir.former();
    match fs::remove_file(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(StoreError::io("remove", &path)),
    }
}

fn let_go(kept: &[Former], before: &Plan, plan: &Plan, state: &RunState) -> Vec<Former> {
    let now = wanted(plan);
    let gone = |machine: &Wanted| !now.iter().any(|now| now.is_same_place(machine));
    let mut all: Vec<Former> = kept.to_vec();
    for machine in wanted(before).into_iter().filter(|it| gone(it)) {
        let started = |unit: &&&UnitId| state.may_have_started(unit);
        let units = machine.units(before);
        let mut started = units.iter().filter(started).copied().peekable();
        if started.peek().is_none() {
            continue;
        }
        let open = started.filter(|unit| !state.is_settled(unit));
        let mut open: BTreeSet<UnitId> = open.cloned().collect();
        let old = |former: &Former| former.wanted.is_same_place(&machine);
        if let Some(at) = all.iter().position(old) {
            open.extend(all.remove(at).open);
        }
        all.push(Former {
            wanted: machine,
            open,
        });
    }
    // What is of the plan again is asked as such.
    all.retain(|former| gone(&former.wanted));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Generation, LaunchId, Timestamp};
    use crate::plan::plan_tests::clean;
    use crate::run::{Event, Record};

    const YAML: &str = "version: 1\nname: c\nnodes: { x: { gpus: 0 }, y: { gpus: 0 }, z: { gpus: 0, ssh: { host: w } } }\nservices:\n  a: { node: x, port: 8000, command: [a] }\n  b: { node: x, port: 8001, command: [b] }\n";

    /// `a` was started, and came to its end if `ended`.
    fn state(ended: bool) -> RunState {
        let (unit, generation) = (UnitId::new("a"), Generation(1));
        let mut events = vec![Event::LaunchIntended {
            unit: unit.clone(),
            generation,
            launch: LaunchId::new("l"),
            script: None,
        }];
        events.extend(ended.then_some(Event::Stopped { unit, generation }));
        let records = (1..).zip(events).map(|(seq, event)| Record {
            v: Record::FORMAT,
            seq,
            at: Timestamp(seq),
            epoch: Epoch(1),
            event,
        });
        RunState::fold(&records.collect::<Vec<_>>())
    }

    fn told(all: &[Former]) -> Vec<String> {
        let one = |it: &Former| format!("{} {:?}", it.wanted.name, it.open);
        all.iter().map(one).collect()
    }

    #[test]
    fn a_machine_is_kept_where_something_was_started_until_it_is_of_the_plan_again() {
        let (x, y) = (clean(YAML), clean(&YAML.replace("node: x", "node: y")));
        let z = clean(&YAML.replace("node: x", "node: z"));
        assert_eq!(let_go(&[], &x, &x, &state(false)), []);
        assert_eq!(let_go(&[], &x, &y, &RunState::default()), []);
        assert_eq!(told(&let_go(&[], &x, &y, &state(true))), ["x {}"]);
        let kept = let_go(&[], &x, &y, &state(false));
        assert_eq!(told(&kept), [r#"x {UnitId("a")}"#]);
        let both = let_go(&kept, &y, &z, &state(true));
        assert_eq!(told(&both), [r#"x {UnitId("a")}"#, "y {}"]);
        assert_eq!(told(&let_go(&both, &z, &x, &state(true))), ["y {}", "z {}"]);
        let elsewhere = clean(&YAML.replace("x: { gpus: 0 }", "x: { gpus: 0, ssh: { host: v } }"));
        assert_eq!(told(&let_go(&[], &x, &elsewhere, &state(true))), ["x {}"]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let kept = let_go(
            &[],
            &clean(YAML),
            &clean(&YAML.replace("node: x", "node: z")),
            &state(false),
        );
        let format = FORMAT;
        let text = serde_json::to_string(&Kept {
            format,
            machines: kept.clone(),
        });
        let read: Kept = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(read.machines, kept);
    }
}
