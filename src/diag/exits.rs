//! Exit codes explained, for `toolorch explain 75` and the page of codes.

use std::fmt::Write as _;

use crate::base::ExitStatus;

/// What to do about a command that ended so.
const fn text(status: ExitStatus) -> &'static str {
    match status {
        ExitStatus::Done => "Everything that was asked for is done.",
        ExitStatus::Internal => {
            "A fault of toolorch, or of the system below it; what was started goes on. `toolorch status` shows what runs."
        }
        ExitStatus::Usage => {
            "The arguments or the YAML are wrong, and nothing was touched. The message says what, with a code or a hint."
        }
        ExitStatus::Refused => {
            "A look before the start refused, a node or a file stands in the way, or something was refuted or could not be \
             stopped. The message says what."
        }
        ExitStatus::NotReady => {
            "Servers did not become ready. `toolorch status` names the rung at which each stands, `toolorch logs UNIT` has its log."
        }
        ExitStatus::Incomplete => {
            "Questions are without a result, or their results are in error. `toolorch up` again asks what is missing."
        }
        ExitStatus::GaveUp => {
            "A restart budget is spent, or nothing moved any more. `toolorch status` says of whom; after it is mended, \
             `toolorch up` goes on with new budgets."
        }
        ExitStatus::Misrouted => {
            "A client called a place that is neither a server nor a declared external, in this run or in one that made the \
             results that are there. See the alarm `outside-call`."
        }
        ExitStatus::JournalDamaged => {
            "A file of the run is damaged, or of a newer toolorch. `toolorch up --rebuild` begins a damaged journal anew from \
             what runs and from the results; `toolorch down` stops what runs."
        }
        ExitStatus::OwnedElsewhere => {
            "Another toolorch watches the run, and there is one at a time. `toolorch status` says which; `toolorch down` ends \
             the run with it."
        }
        ExitStatus::Interrupted => {
            "Ctrl-C ended the command; what was started goes on. `toolorch up` watches again, `toolorch down` stops it."
        }
        ExitStatus::Terminated => {
            "SIGTERM ended the command, as `toolorch down` does for a controller; what was started goes on otherwise. \
             `toolorch up` watches again."
        }
    }
}

/// The page of an exit code, if this is the number of one.
pub(super) fn explain(word: &str) -> Option<String> {
    let status = ExitStatus::from_code(word.parse().ok()?)?;
    let (code, words) = (status.code(), status.words());
    Some(format!("exit code {code}: {words}\n\n{}\n", text(status)))
}

/// A line for each.
pub(super) fn list() -> String {
    let mut lines = String::new();
    for status in ExitStatus::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{:<3}  {}", status.code(), status.words());
    }
    lines
}

/// Their part of the page `docs/CODES.md`.
pub fn markdown() -> String {
    let mut page = String::from("\n## Exit codes\n");
    for status in ExitStatus::ALL {
        let (code, words) = (status.code(), status.words());
        let _ = write!(page, "\n### {code}: {words}\n\n{}\n", text(status));
    }
    page
}
