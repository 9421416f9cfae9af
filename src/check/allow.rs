//! `allow:` silences warnings that somebody accepts, and nothing else.

use crate::base::{FieldPath, clean};
use crate::diag::{Code, Diagnostic, Place, Report, Severity, codes};
use crate::plan::similar::{MaybeFix as _, did_you_mean};
use crate::spec::ClusterSpec;

/// Removes the warnings that are allowed; says where `allow` itself is wrong or of no use.
pub(super) fn apply(spec: &ClusterSpec, report: Report) -> Report {
    let mut more = Report::new();
    for (index, allow) in spec.allow.iter().enumerate() {
        let path = FieldPath::root().key("allow").index(index);
        let place = Place::Value(path.key("code"));
        let code = allow.code.as_str();
        if codes::find(code).is_none() {
            let fix = did_you_mean(code, codes::all().map(|row| row.code), place.clone());
            more.push(
                Diagnostic::error(Code("E0610"), format!("there is no code `{code}`"))
                    .at(place, "nothing is called so")
                    .maybe_fix(fix),
            );
        } else if !code.starts_with('W') {
            more.push(
                Diagnostic::error(Code("E0611"), format!("`{code}` cannot be allowed"))
                    .at(place, "only warnings can")
                    .help("an error stops everything because nothing good can come of it; a note needs no leave"),
            );
        } else if let Some(count) = silenced(&report, code) {
            let title = match count {
                1 => format!("a warning `{code}` is allowed"),
                _ => format!("{count} warnings `{code}` are allowed"),
            };
            more.push(
                Diagnostic::note(Code("N0613"), title)
                    .at(place, format!("because: {}", clean(&allow.reason))),
            );
        } else if !code.starts_with(OF_NODES) {
            more.push(
                Diagnostic::note(
                    Code("N0612"),
                    format!("`{code}` is allowed and does not occur"),
                )
                .at(place, "can be removed"),
            );
        }
    }
    let kept = report.into_iter().filter(|finding| !allowed(spec, finding));
    kept.chain(more).collect()
}

/// The same for what a look at nodes found; each of these has a number that begins so.
const OF_NODES: &str = "W07";

pub(super) fn of_nodes(spec: &ClusterSpec, report: Report) -> Report {
    let kept = report.into_iter().filter(|finding| !allowed(spec, finding));
    kept.collect()
}

fn allowed(spec: &ClusterSpec, finding: &Diagnostic) -> bool {
    finding.severity == Severity::Warning
        && spec.allow.iter().any(|allow| allow.code == finding.code.0)
}

/// How many warnings of this code there are, if there is one.
fn silenced(report: &Report, code: &str) -> Option<usize> {
    let same =
        |finding: &&Diagnostic| finding.severity == Severity::Warning && finding.code.0 == code;
    Some(report.iter().filter(same).count()).filter(|count| *count > 0)
}
