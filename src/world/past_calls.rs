//! The file beside results that says which undeclared places were called while they were made.

use std::path::PathBuf;

use super::files::{FileError, books, read_book, write_book};
use crate::eval::{PastCall, PastCalls};
use crate::plan::ResultsPlan;

const FILE: &str = "outside-calls.json";

/// Where it is: whoever removes it lets the results count as they are.
pub fn past_calls_file(results: &ResultsPlan) -> PathBuf {
    books(results).join(FILE)
}

/// What is held against results; nothing where there is no such file.
///
/// # Errors
/// It cannot be read, or says what no toolorch wrote, or a newer one did.
pub fn read_past_calls(results: &ResultsPlan) -> Result<PastCalls, FileError> {
    let format = |past: &PastCalls| (past.v, PastCalls::FORMAT);
    Ok(read_book(results, FILE, format)?.unwrap_or_default())
}

/// Adds what a run has seen so far of a place.
///
/// # Errors
/// The file cannot be read or written.
pub fn note_past_call(results: &ResultsPlan, call: PastCall) -> Result<(), FileError> {
    let mut past = read_past_calls(results)?;
    past.note(call);
    write_book(results, FILE, &past)
}

/// Forgets what was held against results that are no longer there; `kept` says what stays.
///
/// # Errors
/// The file cannot be read or written.
pub fn forget_past_calls(
    results: &ResultsPlan,
    kept: impl Fn(&PastCall) -> bool,
) -> Result<(), FileError> {
    let mut past = read_past_calls(results)?;
    let before = past.calls.len();
    past.calls.retain(kept);
    if past.calls.len() == before {
        return Ok(());
    }
    write_book(results, FILE, &past)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::RunId;
    use crate::run::OutsideSeen;

    #[test]
    fn what_is_noted_stays_until_its_results_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Jsonl {
            file: dir.path().join("r.jsonl").to_string_lossy().into_owned(),
        };
        let call = |run: &str| PastCall {
            run: RunId::new(run),
            place: "203.0.113.7:443".to_owned(),
            seen: OutsideSeen::Connected,
            times: 2,
        };
        let runs = || {
            let past = read_past_calls(&results).unwrap().calls;
            let runs: Vec<String> = past.iter().map(|call| call.run.to_string()).collect();
            runs.join(" ")
        };
        forget_past_calls(&results, |_| false).unwrap();
        assert!(!past_calls_file(&results).exists(), "nothing to be said");
        note_past_call(&results, call("a-1-0000")).unwrap();
        note_past_call(&results, call("a-2-0000")).unwrap();
        assert_eq!(runs(), "a-1-0000 a-2-0000");
        forget_past_calls(&results, |call| call.run.as_str() == "a-2-0000").unwrap();
        assert_eq!(runs(), "a-2-0000");
        std::fs::write(past_calls_file(&results), "{\"v\":9,\"calls\":[]}").unwrap();
        let error = read_past_calls(&results).unwrap_err().to_string();
        assert!(error.contains("it has format 9"), "{error}");
    }
}
