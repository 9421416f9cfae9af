//! What an `up` beside running units may not change.

use std::collections::BTreeSet;

use crate::base::UnitId;
use crate::render::{FileSet, LIBRARY, state_format};

/// Why the scripts of a run cannot be replaced while these units live; `there` reads a script as it is now.
///
/// A unit script that differs would be another unit, and this release restarts nothing by itself. Another library is
/// taken over: a running supervisor goes on with what it read, and the verbs of the new one understand its state as
/// long as both name the same format. A library that is gone is put back.
pub(super) fn forbidden(
    files: &FileSet,
    live: &BTreeSet<UnitId>,
    there: impl Fn(&str) -> Option<Vec<u8>>,
) -> Option<String> {
    let differs = |unit: &&UnitId| {
        let path = format!("units/{unit}.sh");
        let there = there(&path).unwrap_or_default();
        files.get(&path).is_none_or(|file| file.bytes != there)
    };
    let changed: Vec<&str> = live.iter().filter(differs).map(UnitId::as_str).collect();
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
        insta::assert_snapshot!(words(&old, &set("two", "U_FORMAT=1\n")).unwrap(), @"
        what runs would change: a-0
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
