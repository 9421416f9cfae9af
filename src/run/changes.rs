//! What another plan changes beside what runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{RunState, UnitState};
use crate::base::{EvalName, UnitId, clean, sha256};
use crate::knowledge::slurm;
use crate::plan::Plan;
use crate::render::{FileSet, LIBRARY, state_format};

/// What must happen to units that run so that they are those of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// They run by another script: what differs, in words. They are stopped and started again.
    pub replaced: BTreeMap<UnitId, String>,
    /// They run, and the plan has them no longer. They are stopped.
    pub retired: BTreeSet<UnitId>,
    /// They are of the plan, and never were.
    pub added: BTreeSet<UnitId>,
    /// They carry the run's mark, and neither its journal nor the plan knows them. They are left alone.
    pub strange: BTreeSet<UnitId>,
    /// What each SLURM job would be submitted with now, by its name: see [`slurm::asked_by`].
    pub submits: BTreeMap<String, String>,
}

/// Why units cannot be watched by this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "what runs was started by another version of `{LIBRARY}`: its state has the format {was}, not {is}\n\
     help: go on with that version of toolorch, or stop the cluster first: toolorch down"
)]
pub struct OtherFormat {
    was: String,
    is: String,
}

impl Changes {
    /// Compares the plan and its scripts with `live` units; `there` reads a file of the run's scripts as it is now.
    ///
    /// A unit runs by the script whose digest its start recorded. Another library is taken over: a running supervisor
    /// goes on with what it read, and the verbs of the new one understand its state as long as both name one format.
    ///
    /// # Errors
    /// [`OtherFormat`].
    pub fn between(
        plan: &Plan,
        files: &FileSet,
        state: &RunState,
        live: &BTreeSet<UnitId>,
        there: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, OtherFormat> {
        if !live.is_empty() {
            same_format(files, there(LIBRARY))?;
        }
        let jobs = plan.jobs.iter().filter_map(|job| {
            let script = files.get(&format!("slurm/{}.sbatch", job.name))?;
            Some((job.name.clone(), slurm::asked_by(&script.bytes)))
        });
        let mut changes = Self {
            submits: jobs.collect(),
            ..Self::default()
        };
        for unit in live {
            let path = script_path(unit);
            match files.get(&path).filter(|_| plan.unit(unit).is_some()) {
                None if state.units.contains_key(unit) => {
                    changes.retired.insert(unit.clone());
                }
                None => {
                    changes.strange.insert(unit.clone());
                }
                Some(new) => {
                    let was = there(&path);
                    if let Some(what) = replaced(&state.unit(unit), was.as_deref(), &new.bytes) {
                        changes.replaced.insert(unit.clone(), what);
                    }
                }
            }
        }
        let known = |unit: &UnitId| live.contains(unit) || state.units.contains_key(unit);
        let servers = plan.servers().map(|unit| unit.id.clone());
        if !state.units.is_empty() {
            changes.added = servers.filter(|unit| !known(unit)).collect();
        }
        Ok(changes)
    }

    /// What the job of a unit was submitted with and would be no more, in words; none where that is the same, or not known.
    pub fn kept_by_job(&self, plan: &Plan, unit: &UnitId, state: &UnitState) -> Option<String> {
        let was = state.handle.as_ref()?.submitted.as_ref()?;
        let job = plan.jobs.iter().find(|job| job.units.contains(unit))?;
        let now = self.submits.get(&job.name)?;
        (was != now).then(|| clean(&slurm::kept(was, now)))
    }

    /// Nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.retired.is_empty() && self.added.is_empty()
    }
}

/// Where a unit's script is in a rendered set.
pub fn script_path(unit: &UnitId) -> String {
    format!("units/{unit}.sh")
}

fn same_format(files: &FileSet, there: Option<Vec<u8>>) -> Result<(), OtherFormat> {
    let Some(old) = there else { return Ok(()) };
    let new = files.get(LIBRARY).map_or(&[][..], |file| &file.bytes);
    let (was, is) = (state_format(&old), state_format(new));
    if old == new || (was == is && was.is_some()) {
        return Ok(());
    }
    let [was, is] = [was, is].map(|format| format.unwrap_or("unknown").to_owned());
    Err(OtherFormat { was, is })
}

/// What differs, if anything does.
fn replaced(state: &UnitState, was: Option<&[u8]>, new: &[u8]) -> Option<String> {
    let same = match (&state.script, was) {
        (Some(started), _) => *started == sha256(new),
        (None, Some(was)) => was == new,
        // Its script is gone and nobody wrote down what it was: it is put back.
        (None, None) => true,
    };
    let words = || match was {
        Some(was) if was != new => differences(was, new),
        _ => "script".to_owned(),
    };
    (!same).then(words)
}

/// Which parts of a unit script differ; never their values, which may be secret.
fn differences(old: &[u8], new: &[u8]) -> String {
    let (old, new) = (parts(old), parts(new));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
    let differing = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    let words: Vec<&str> = differing
        .map(|name| match name {
            "ARGV" => "command",
            "SET" => "variables",
            "PASS" => "passed variables",
            "CWD" => "directory",
            "GPUS" => "GPUs",
            "PORT" => "port",
            "CONDA" | "VENV" | "MODULES" | "SETUP" => "environment",
            "GRACE" | "OPEN_FILES" | "UMASK" => "limits",
            "IDLE" => "`idle`",
            "NOTIFY" | "NOTIFY_DIR" | "NOTIFY_EVERY" => "`notify`",
            _ => "script",
        })
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    words.join(", ")
}

/// The settings `U_NAME=…` of a unit script, each with the lines that belong to it; the rest as one.
fn parts(script: &[u8]) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut current = String::new();
    for line in String::from_utf8_lossy(script).lines() {
        if let Some((name, _)) = line
            .strip_prefix("U_")
            .and_then(|rest| rest.split_once('='))
        {
            name.clone_into(&mut current);
        }
        let part = parts.entry(current.clone()).or_default();
        part.push_str(line);
        part.push('\n');
    }
    parts
}

impl RunState {
    /// Units whose endpoints a running client of this evaluation asks at another place than the plan's, or in vain.
    pub fn moved(&self, plan: &Plan, eval: &EvalName) -> BTreeSet<UnitId> {
        let named = self.named(plan, eval);
        let places = places(plan);
        named
            .into_iter()
            .filter(|(unit, place)| places.get(unit) != Some(place))
            .map(|(unit, _)| unit)
            .collect()
    }

    /// Servers of what this evaluation requires that its client does not know.
    pub fn unknown_to(&self, plan: &Plan, eval: &EvalName) -> BTreeSet<UnitId> {
        let named = self.named(plan, eval);
        if named.is_empty() {
            return BTreeSet::new();
        }
        let required = plan.eval(eval).map_or(&[][..], |eval| &eval.requires);
        plan.groups
            .iter()
            .filter(|group| !group.hidden && required.contains(&group.name))
            .flat_map(|group| &group.endpoints)
            .map(|end| end.unit.clone())
            .filter(|unit| !named.contains_key(unit))
            .collect()
    }

    /// What the configuration of this evaluation names.
    fn named(&self, plan: &Plan, eval: &EvalName) -> BTreeMap<UnitId, String> {
        let config = plan.eval(eval).and_then(|eval| eval.config.as_ref());
        let written = config.and_then(|config| self.configs.get(config));
        written
            .map(|written| written.named.clone())
            .unwrap_or_default()
    }
}

/// Where each server is asked: `host:port`.
pub fn places(plan: &Plan) -> BTreeMap<UnitId, String> {
    let ends = plan.groups.iter().flat_map(|group| &group.endpoints);
    ends.map(|end| (end.unit.clone(), format!("{}:{}", end.host, end.port)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Generation, LaunchId, Timestamp};
    use crate::plan::plan;
    use crate::run::forecast_tests::{UP, running};
    use crate::run::{Event, Forecast, Outlook, Record};

    const YAML: &str = "version: 1\nname: t\nlauncher: process\nnodes: { n: { gpus: 0, transport: local, address: 127.0.0.1 } }\n\
                        services:\n  a: { node: n, port: 9001, command: [a] }\n  b: { node: n, port: 9002, command: [b] }\n";

    fn plan_of(yaml: &str) -> Plan {
        let facts = crate::facts::Facts {
            own_names: vec!["127.0.0.1".to_owned()],
            ..Default::default()
        };
        plan(&serde_yaml::from_str(yaml).unwrap(), &facts).0
    }

    fn scripts(a: &str, b: &str) -> FileSet {
        let mut files = FileSet::new();
        files.add_script("units/a.sh", a.to_owned());
        files.add_script("units/b.sh", b.to_owned());
        files.add(LIBRARY, b"U_FORMAT=1\n".to_vec(), 0o644);
        files
    }

    /// What was started by these scripts.
    fn started(units: &[(&str, Option<&str>)]) -> RunState {
        let mut state = RunState::default();
        for (unit, script) in units {
            state.apply(&Record {
                v: Record::FORMAT,
                seq: 1,
                at: Timestamp(1),
                epoch: Epoch(1),
                event: Event::LaunchIntended {
                    unit: UnitId::new(*unit),
                    generation: Generation(1),
                    launch: LaunchId::new("l"),
                    script: script.map(|script| sha256(script.as_bytes())),
                },
            });
        }
        state
    }

    /// What is about to happen beside these live units.
    fn lines(new: &FileSet, state: &RunState, live: &[&str], old: &FileSet) -> String {
        let live: BTreeSet<UnitId> = live.iter().map(|unit| UnitId::new(*unit)).collect();
        let there = |path: &str| Some(old.get(path)?.bytes.clone());
        let plan = plan_of(YAML);
        let changes = match Changes::between(&plan, new, state, &live, there) {
            Ok(changes) => changes,
            Err(why) => return why.to_string(),
        };
        let seen = live.into_iter().map(|unit| (unit, running("l"))).collect();
        let forecast = Forecast::of(&Outlook {
            plan: &plan,
            before: None,
            state,
            changes: &changes,
            seen: &seen,
            results: &BTreeMap::new(),
            asked: UP,
            lives: true,
        });
        forecast.lines("t.yaml").join("\n")
    }

    #[test]
    fn what_differs_is_named_by_its_parts_never_its_values() {
        let argv = |word: &str| format!("U_UNIT=a\nU_ARGV=(\n  x {word}\n)\nU_PORT=1\n");
        let (old, new) = (argv("secret"), argv("other"));
        let state = started(&[("a", Some(&old)), ("b", Some("b"))]);
        let changed = lines(
            &scripts(&new, "b"),
            &state,
            &["a", "b"],
            &scripts(&old, "b"),
        );
        assert_eq!(changed, "restarted: a (command)");
        let same = lines(
            &scripts(&old, "b"),
            &state,
            &["a", "b"],
            &scripts(&old, "b"),
        );
        assert_eq!(same, "");
    }

    #[test]
    fn the_digest_of_the_start_counts_not_what_stands_there_now() {
        let state = started(&[("a", Some("old")), ("b", None)]);
        // An owner was killed after it had written the new script, and before it had stopped the unit.
        let new = scripts("new", "b");
        assert_eq!(
            lines(&new, &state, &["a", "b"], &new),
            "restarted: a (script)"
        );
        // Scripts that are gone are put back where nobody wrote down what they were.
        let gone = scripts("old", "b");
        assert_eq!(lines(&gone, &state, &["a", "b"], &FileSet::new()), "");
    }

    #[test]
    fn what_the_plan_has_no_longer_is_stopped_and_what_nobody_knows_is_left_alone() {
        let files = scripts("a", "b");
        let state = started(&[("a", Some("a")), ("c", Some("c"))]);
        insta::assert_snapshot!(lines(&files, &state, &["a", "c", "x"], &files), @r"
        stopped: c
        started in addition: b
        left alone, since the journal does not know it: x (toolorch down ends it)
        ");
    }

    #[test]
    fn a_library_of_another_format_is_refused() {
        let state = started(&[("a", Some("a"))]);
        let mut old = scripts("a", "b");
        old.add(LIBRARY, b"U_FORMAT=0\n".to_vec(), 0o644);
        let new = scripts("a", "b");
        insta::assert_snapshot!(lines(&new, &state, &["a"], &old), @r"
        what runs was started by another version of `lib/unit.sh`: its state has the format 0, not 1
        help: go on with that version of toolorch, or stop the cluster first: toolorch down
        ");
        assert!(
            !lines(&new, &state, &[], &old).contains("another version"),
            "nothing runs"
        );
        old.add(LIBRARY, b"# newer\nU_FORMAT=1\n".to_vec(), 0o644);
        assert_eq!(lines(&new, &state, &["a"], &old), "started in addition: b");
    }
}
