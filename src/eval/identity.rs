//! Whose results these are: the stamp in `RESULTS/.toolorch/identity.json`.
//!
//! Results that depend on other models, arguments or data may not be mixed in one directory;
//! what only changes how fast they come may change, and is recorded.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::plan::{EvalPlan, Plan};

/// Keys that are absent where nobody could look: unknown is not different.
const MAY_BE_UNKNOWN: &[&str] = &["dataset_sha256", "client_git"];

/// What `identity.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// The version of this form.
    pub v: u32,
    /// When the first client was started on these results, or they were adopted.
    pub since: Timestamp,
    /// Complete results that were there before there was a stamp.
    pub adopted: usize,
    /// What the results depend on.
    pub identity: IndexMap<String, Value>,
    /// What may change, as it is now.
    pub operational: IndexMap<String, Value>,
    /// What changed, oldest first.
    pub changes: Vec<Change>,
}

/// An operational change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When it was found.
    pub at: Timestamp,
    /// What.
    pub difference: Difference,
}

/// A value that is not the same; `null` stands for absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: `models.answer.thinking`.
    pub key: String,
    /// In the results.
    pub there: Value,
    /// In this run.
    pub here: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let say = |value: &Value| match value {
            Value::Null => "not set".to_owned(),
            value => format!("`{value}`"),
        };
        write!(
            f,
            "`{}` is {} in the results and {} in this run",
            self.key,
            say(&self.there),
            say(&self.here)
        )
    }
}

/// What the stamp says of this run.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Nothing was there, or the same: go on. The stamp is to be written if it is new.
    Fits {
        /// What is to be written; none if the file says it already.
        write: Option<Stamp>,
    },
    /// Only operational values changed: go on, write and say it.
    Changed {
        /// What is to be written.
        write: Stamp,
        /// What changed.
        differences: Vec<Difference>,
    },
    /// Results without a stamp, of unknown origin: they are kept, as a finished result is never
    /// thrown away on a guess; write it and say it aloud.
    Adopted {
        /// What is to be written.
        write: Stamp,
    },
    /// The results belong to another evaluation: nothing may be started.
    Other {
        /// Why.
        differences: Vec<Difference>,
    },
}

impl Stamp {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// The stamp that this run would give to results of its own.
    pub fn new(plan: &Plan, eval: &EvalPlan, at: Timestamp) -> Self {
        Self {
            v: Self::FORMAT,
            since: at,
            adopted: 0,
            identity: eval.identity.clone(),
            operational: operational(plan, eval),
            changes: Vec::new(),
        }
    }

    /// Compares the results' stamp (none if there is none) with this run's, given how many
    /// complete results there are.
    pub fn judge(self, found: Option<Self>, results: usize) -> Judgement {
        let Some(found) = found else {
            let write = Self {
                adopted: results,
                ..self
            };
            return match results {
                0 => Judgement::Fits { write: Some(write) },
                _ => Judgement::Adopted { write },
            };
        };
        let mut differences = differences(&found.identity, &self.identity);
        differences.retain(|difference| {
            let unknown = difference.here.is_null() || difference.there.is_null();
            !(unknown && MAY_BE_UNKNOWN.contains(&difference.key.as_str()))
        });
        if !differences.is_empty() && results > 0 {
            return Judgement::Other { differences };
        }
        if results == 0 {
            // Nothing was made yet under the old stamp.
            let same = found.identity == self.identity && found.operational == self.operational;
            let write = (!same).then_some(self);
            return Judgement::Fits { write };
        }
        self.operational_changes(found)
    }

    fn operational_changes(self, found: Self) -> Judgement {
        let differences = differences(&found.operational, &self.operational);
        if differences.is_empty() {
            return Judgement::Fits { write: None };
        }
        let at = self.since;
        let changes = differences.iter().cloned();
        let mut write = Self {
            operational: self.operational,
            ..found
        };
        write
            .changes
            .extend(changes.map(|difference| Change { at, difference }));
        Judgement::Changed { write, differences }
    }
}

/// What may change between attempts: concurrency, and how many servers answer for each model.
fn operational(plan: &Plan, eval: &EvalPlan) -> IndexMap<String, Value> {
    let mut values = IndexMap::new();
    if let Some(concurrency) = eval.concurrency {
        values.insert("concurrency".to_owned(), concurrency.into());
    }
    let servers: Map<String, Value> = plan
        .groups
        .iter()
        .filter(|group| eval.requires.contains(&group.name))
        .map(|group| (group.name.to_string(), group.endpoints.len().into()))
        .collect();
    values.insert("servers".to_owned(), servers.into());
    values
}

/// The refusal for people; `results` is the directory or file.
pub fn refusal(results: &str, differences: &[Difference]) -> String {
    let listed: Vec<String> = differences.iter().map(ToString::to_string).collect();
    format!(
        "the results in `{results}` belong to another evaluation: {}; \
         name another `results`, or bring the old values back",
        listed.join("; ")
    )
}

fn differences(there: &IndexMap<String, Value>, here: &IndexMap<String, Value>) -> Vec<Difference> {
    let object = |map: &IndexMap<String, Value>| {
        Value::Object(map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    };
    let mut found = Vec::new();
    compare("", &object(there), &object(here), &mut found);
    found
}

/// Collects the innermost keys whose values differ; the order of keys does not matter.
fn compare(key: &str, there: &Value, here: &Value, into: &mut Vec<Difference>) {
    let (Value::Object(old), Value::Object(new)) = (there, here) else {
        if there != here {
            into.push(Difference {
                key: key.to_owned(),
                there: there.clone(),
                here: here.clone(),
            });
        }
        return;
    };
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let key = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        let value = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
        compare(&key, &value(old), &value(new), into);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> IndexMap<String, Value> {
        let object = value.as_object().unwrap();
        object.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    fn stamp(identity: &Value, operational: &Value) -> Stamp {
        Stamp {
            v: Stamp::FORMAT,
            since: Timestamp(1),
            adopted: 0,
            identity: map(identity),
            operational: map(operational),
            changes: Vec::new(),
        }
    }

    #[test]
    fn another_model_is_refused_with_both_values() {
        let old = json!({"models": {"answer": {"model": "Q", "thinking": true}}, "max_rounds": 50});
        let new = json!({"models": {"answer": {"model": "Q", "thinking": false}}});
        let ops = json!({"concurrency": 64});
        let judged = stamp(&new, &ops).judge(Some(stamp(&old, &ops)), 3);
        let Judgement::Other { differences } = judged else {
            panic!("{judged:?}");
        };
        insta::assert_snapshot!(refusal("/out", &differences), @"the results in `/out` belong to another evaluation: `models.answer.thinking` is `true` in the results and `false` in this run; `max_rounds` is `50` in the results and not set in this run; name another `results`, or bring the old values back");
    }

    #[test]
    fn another_concurrency_is_recorded() {
        let same = json!({"max_rounds": 50});
        let old = stamp(&same, &json!({"concurrency": 64}));
        let judged = stamp(&same, &json!({"concurrency": 32})).judge(Some(old), 3);
        let Judgement::Changed { write, differences } = judged else {
            panic!("{judged:?}");
        };
        assert_eq!(differences[0].key, "concurrency");
        assert_eq!(write.changes.len(), 1);
        assert_eq!(write.operational["concurrency"], 32);
        // Written, it fits.
        let again = stamp(&same, &json!({"concurrency": 32})).judge(Some(write), 3);
        assert_eq!(again, Judgement::Fits { write: None });
    }

    #[test]
    fn what_nobody_could_see_is_not_another() {
        let none = json!({});
        let ops = json!({});
        let with = |git: &str| json!({"client_git": git, "dataset_sha256": "ab"});
        let judge = |old: &Value, new: &Value| stamp(new, &ops).judge(Some(stamp(old, &ops)), 1);
        assert!(matches!(judge(&with("a1"), &none), Judgement::Fits { .. }));
        assert!(matches!(judge(&none, &with("a1")), Judgement::Fits { .. }));
        assert!(matches!(
            judge(&with("a1"), &with("a1+")),
            Judgement::Other { .. }
        ));
    }

    #[test]
    fn results_without_a_stamp_are_adopted_and_an_empty_place_is_free() {
        let new = stamp(&json!({"max_rounds": 1}), &json!({}));
        let adopted = new.clone().judge(None, 7);
        assert!(matches!(adopted, Judgement::Adopted { write } if write.adopted == 7));
        let first = new.clone().judge(None, 0);
        assert_eq!(
            first,
            Judgement::Fits {
                write: Some(new.clone())
            }
        );
        // A stamp over nothing binds nobody.
        let other = stamp(&json!({"max_rounds": 2}), &json!({}));
        let free = new.clone().judge(Some(other), 0);
        assert_eq!(free, Judgement::Fits { write: Some(new) });
    }
}
