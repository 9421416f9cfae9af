//! What an `up` beside running units may not change.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::UnitId;
use crate::render::{FileSet, LIBRARY, state_format};

/// Why the scripts of a run cannot be replaced while these units live; `there` reads a script as it is now.
///
/// A unit script that differs would be another unit, and this release restarts nothing by itself. Another library is
/// taken over: a running supervisor goes on with what it read, and the verbs of the new one understand its state as
/// long as both name the same format.
pub(super) fn forbidden(
    files: &FileSet,
    live: &BTreeSet<UnitId>,
    there: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<String> {
    let change = |unit: &UnitId| {
        let path = format!("units/{unit}.sh");
        // One that is gone is put back.
        let there = there(&path)?;
        let new = files.get(&path).map_or(&[][..], |file| &file.bytes);
        (new != there).then(|| format!("{unit} ({})", what(&there, new)))
    };
    let changed: Vec<String> = live.iter().filter_map(change).collect();
    if !changed.is_empty() {
        return Some(format!(
            "what runs would change: {}\nhelp: take the change back, or stop the cluster first: toolorch down",
            changed.join(", ")
        ));
    }
    let old = there(LIBRARY).filter(|_| !live.is_empty())?;
    let new = files.get(LIBRARY).map_or(&[][..], |file| &file.bytes);
    let formats = (state_format(&old), state_format(new));
    (old != new && (formats.0 != formats.1 || formats.0.is_none())).then(|| {
        let [was, is] = [formats.0, formats.1].map(|format| format.unwrap_or("unknown"));
        format!(
            "what runs was started by another version of `{LIBRARY}`: its state has the format {was}, not {is}\n\
             help: go on with that version of toolorch, or stop the cluster first: toolorch down"
        )
    })
}

/// Which parts of a unit script differ; never their values, which may be secret.
fn what(old: &[u8], new: &[u8]) -> String {
    if new.is_empty() {
        return "no longer in the plan".to_owned();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(unit: &str, library: &str) -> FileSet {
        let mut files = FileSet::new();
        files.add_script("units/a-0.sh", unit.to_owned());
        files.add(LIBRARY, library.into(), 0o644);
        files
    }

    fn words(old: &FileSet, new: &FileSet) -> Option<String> {
        let live = BTreeSet::from([UnitId::from("a-0")]);
        forbidden(new, &live, |path| Some(old.get(path)?.bytes.clone()))
    }

    #[test]
    fn a_unit_that_runs_may_not_change_and_its_library_only_within_a_format() {
        let old = set("one", "U_FORMAT=1\n");
        assert_eq!(words(&old, &old), None);
        insta::assert_snapshot!(words(&old, &set("two", "U_FORMAT=1\n")).unwrap(), @r"
        what runs would change: a-0 (script)
        help: take the change back, or stop the cluster first: toolorch down
        ");
        let argv = |word: &str| {
            set(
                &format!("U_UNIT=a-0\nU_ARGV=(\n  x {word}\n)\nU_PORT=1\n"),
                "U_FORMAT=1\n",
            )
        };
        insta::assert_snapshot!(words(&argv("-a"), &argv("-b")).unwrap(), @r"
        what runs would change: a-0 (command)
        help: take the change back, or stop the cluster first: toolorch down
        ");
        assert_eq!(words(&old, &set("one", "# newer\nU_FORMAT=1\n")), None);
        insta::assert_snapshot!(words(&old, &set("one", "U_FORMAT=2\n")).unwrap(), @"
        what runs was started by another version of `lib/unit.sh`: its state has the format 1, not 2
        help: go on with that version of toolorch, or stop the cluster first: toolorch down
        ");
        let own = set("one", "# a user's own\n");
        assert_eq!(words(&own, &own), None);
        assert!(
            words(&own, &old)
                .unwrap()
                .contains("the format unknown, not 1")
        );
        let mut gone = FileSet::new();
        gone.add_script("units/a-0.sh", "one".to_owned());
        assert_eq!(words(&gone, &old), None, "it is put back");
        assert_eq!(
            forbidden(&set("x", "U_FORMAT=2\n"), &BTreeSet::new(), |path| Some(
                old.get(path)?.bytes.clone()
            )),
            None,
            "nothing runs"
        );
    }
}
