//! What a run keeps of its results once it is over: a later run writes others in their place, and its report is to stay what
//! it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::routing::Routed;
use super::tables::{Changed, Logged};
use crate::base::{EvalName, Timestamp};
use crate::eval::Written;

/// The results of a run, as its report needs them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The form of this record.
    pub format: u32,
    /// Its evaluations, in the order of the plan.
    pub evals: Vec<KeptEval>,
    /// Where calls went.
    pub routed: Routed,
    /// The YAML that was followed last, where it could be read.
    #[serde(default)]
    pub yaml: Option<KeptYaml>,
}

/// A YAML as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptYaml {
    /// Its absolute path.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The results of one evaluation.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeptEval {
    /// Which.
    pub name: EvalName,
    /// The questions of its dataset; empty without one.
    pub ids: Vec<String>,
    /// When each result was last written, by its id; of lines of one file when the file was, under an empty one.
    pub times: BTreeMap<String, Timestamp>,
    /// The results.
    pub written: Vec<Written>,
    /// What its client logged, where it did.
    pub logged: Option<Logged>,
    /// What became of the results since: it is found anew each time.
    #[serde(skip)]
    pub changed: Option<Changed>,
}

impl Kept {
    /// The form that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Whether what is said of some evaluation is not what it was at the run's end.
    pub fn is_worse(&self) -> bool {
        let mut changed = self.evals.iter().filter_map(|eval| eval.changed);
        changed.any(|changed| !changed.kept)
    }
}

/// What became of kept results, by what is there now.
pub fn changed_since(
    then: &BTreeMap<String, Timestamp>,
    now: &BTreeMap<String, Timestamp>,
) -> Option<Changed> {
    let later = now.iter().filter(|(id, at)| then.get(*id) != Some(at));
    let gone = then.keys().filter(|id| !now.contains_key(*id));
    let (later, gone) = (later.count(), gone.count());
    (later + gone > 0).then_some(Changed {
        later,
        gone,
        kept: true,
    })
}

/// Takes what was written after `end` out of results that nobody kept. `done` is how many were recorded when the run ended.
pub fn cut(eval: &mut KeptEval, end: Timestamp, done: usize, whole: impl Fn(&Written) -> bool) {
    let is_late = |at: Option<Timestamp>| at.is_some_and(|at| at > end);
    let is_of_lines = eval.written.iter().any(|one| one.at.is_none());
    let before = eval.written.len();
    eval.written.retain(|one| !is_late(one.at));
    let later = before - eval.written.len();
    let found = eval.written.iter().filter(|one| whole(one)).count();
    let gone = done.saturating_sub(found);
    // Of lines nobody knows which came later: only that some did.
    let touched = is_of_lines && eval.times.values().any(|at| *at > end);
    if later > 0 || gone > 0 || touched {
        eval.changed = Some(Changed {
            later,
            gone,
            kept: false,
        });
        if let Some(logged) = &mut eval.logged {
            logged.calls.retain(|call| !is_late(call.at));
        }
        eval.logged.take_if(|logged| logged.calls.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Answer, Parsed, Whole};
    use crate::report::tables::Source;

    fn times(all: &[(&str, u64)]) -> BTreeMap<String, Timestamp> {
        let all = all.iter();
        all.map(|(id, at)| ((*id).to_owned(), Timestamp(*at)))
            .collect()
    }

    fn eval(written: &[(&str, Option<u64>)]) -> KeptEval {
        let one = |(id, at): &(&str, Option<u64>)| Written {
            id: (*id).to_owned(),
            at: at.map(Timestamp),
            answer: Answer {
                parsed: Parsed::Whole(Whole::default()),
                ..Answer::torn(String::new())
            },
        };
        KeptEval {
            name: EvalName::new("hle"),
            ids: Vec::new(),
            times: BTreeMap::new(),
            written: written.iter().map(one).collect(),
            logged: None,
            changed: None,
        }
    }

    fn changed(later: usize, gone: usize, kept: bool) -> Changed {
        Changed { later, gone, kept }
    }

    #[test]
    fn what_was_kept_is_compared_result_by_result() {
        let then = times(&[("a", 1), ("b", 2), ("c", 3)]);
        assert_eq!(changed_since(&then, &then), None);
        let now = times(&[("a", 1), ("b", 9), ("d", 9)]);
        assert_eq!(changed_since(&then, &now), Some(changed(2, 1, true)));
    }

    #[test]
    fn what_was_not_kept_is_cut_at_the_end_and_counted_against_the_journal() {
        let all = [("a", Some(1)), ("b", Some(2)), ("c", Some(9))];
        let after = |done: usize, end: u64| {
            let mut eval = eval(&all);
            cut(&mut eval, Timestamp(end), done, |_| true);
            (eval.changed, eval.written.len())
        };
        assert_eq!(after(3, 9), (None, 3));
        // One more than was counted came between the count and the end.
        assert_eq!(after(2, 9), (None, 3));
        assert_eq!(after(3, 5), (Some(changed(1, 1, false)), 2));
        assert_eq!(after(5, 9), (Some(changed(0, 2, false)), 3));
    }

    #[test]
    fn of_lines_only_the_file_tells_that_it_was_written_later() {
        let mut eval = eval(&[("a", None)]);
        eval.times = times(&[("", 9)]);
        eval.logged = Some(Logged {
            source: Source::CallLog,
            calls: Vec::new(),
        });
        cut(&mut eval, Timestamp(5), 1, |_| true);
        assert_eq!(eval.changed, Some(changed(0, 0, false)));
        assert_eq!((eval.written.len(), eval.logged.is_none()), (1, true));
    }

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let mut kept = Kept {
            format: Kept::FORMAT,
            evals: vec![eval(&[("a", Some(7)), ("b", None)])],
            routed: Routed::default(),
            yaml: None,
        };
        let text = br#"{"correct": true, "calls": [{"tool": "search", "model": "M", "endpoint": "h:1", "ms": 12.5}, {"tool": "search", "ms": 0, "error": "late"}]}"#;
        let answer = Answer::read(text, &[], &mut crate::eval::Names::default());
        kept.evals[0].written[0].answer = answer;
        let text = serde_json::to_string(&kept).unwrap();
        let read: Kept = serde_json::from_str(&text).unwrap();
        assert_eq!(read.evals[0].written, kept.evals[0].written);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
