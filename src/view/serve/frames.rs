//! In which pieces a browser is told of a run: the whole state once, then what changed of it; each line of the log once. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::moment::Line;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// `state`, `change` or `event`.
    pub(super) name: &'static str,
    /// The number of the line.
    pub(super) id: Option<u64>,
    /// JSON in one line.
    pub(super) data: String,
}

/// What one browser has been told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    /// The last state.
    state: Option<Arc<Value>>,
    /// The number of the last line.
    seq: u64,
}

impl Told {
    /// What it has not been told yet.
    ///
    /// A journal that was begun anew has lower numbers: its lines are told from the first.
    pub(super) fn news(&mut self, state: &Arc<Value>, lines: &[Line]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let frame = |name, data: &Value| Frame {
            name,
            id: None,
            data: data.to_string(),
        };
        match self.state.replace(Arc::clone(state)) {
            None => frames.push(frame("state", state)),
            Some(before) => {
                let mut changes = Vec::new();
                compare(&before, state, &mut Vec::new(), &mut changes);
                if !changes.is_empty() {
                    frames.push(frame("change", &Value::Array(changes)));
                }
            }
        }
        let last = lines.last().map_or(0, |line| line.seq);
        if last < self.seq {
            self.seq = 0;
        }
        for line in lines.iter().filter(|line| line.seq > self.seq) {
            frames.push(Frame {
                name: "event",
                id: Some(line.seq),
                data: serde_json::to_string(line).unwrap_or_default(),
            });
        }
        self.seq = last;
        frames
    }
}

/// Adds `[PATH, VALUE]` for each value that is another one now: as small as may be, as long as objects have the same keys and
/// lists the same length.
fn compare(before: &Value, now: &Value, path: &mut Vec<Value>, changes: &mut Vec<Value>) {
    let mut inside = |key: Value, before: &Value, now: &Value| {
        path.push(key);
        compare(before, now, path, changes);
        path.pop();
    };
    match (before, now) {
        (Value::Object(old), Value::Object(new))
            if old.len() == new.len() && old.keys().all(|key| new.contains_key(key)) =>
        {
            for (key, before) in old {
                inside(json!(key), before, &new[key]);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (before, now)) in old.iter().zip(new).enumerate() {
                inside(json!(index), before, now);
            }
        }
        _ if before == now => {}
        _ => changes.push(json!([path, now])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(seqs: &[u64]) -> Vec<Line> {
        let line = |seq: &u64| Line {
            seq: *seq,
            day: "Dec 31".to_owned(),
            time: "00:00:41".to_owned(),
            loud: false,
            text: "two\nlines".to_owned(),
        };
        seqs.iter().map(line).collect()
    }

    fn told(told: &mut Told, state: &str, seqs: &[u64]) -> String {
        let state = json!({ "state": state, "same": 1 });
        let frames = told.news(&Arc::new(state), &lines(seqs));
        let short = |frame: Frame| match frame.id {
            Some(id) => format!("{} {id}", frame.name),
            None => format!("{} {}", frame.name, frame.data),
        };
        frames.into_iter().map(short).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_browser_is_told_everything_once() {
        let mut browser = Told::default();
        assert_eq!(
            told(&mut browser, "A", &[3, 5]),
            r#"state {"state":"A","same":1}, event 3, event 5"#
        );
        assert_eq!(told(&mut browser, "A", &[3, 5]), "");
        assert_eq!(
            told(&mut browser, "B", &[3, 5]),
            r#"change [[["state"],"B"]]"#
        );
        assert_eq!(told(&mut browser, "B", &[5, 6, 9]), "event 6, event 9");
        let mut another = Told::default();
        assert_eq!(
            told(&mut another, "B", &[5, 6, 9]),
            r#"state {"state":"B","same":1}, event 5, event 6, event 9"#
        );
    }

    #[test]
    fn a_journal_begun_anew_is_told_from_its_first_line() {
        let mut browser = Told::default();
        told(&mut browser, "A", &[3, 5]);
        assert_eq!(
            told(&mut browser, "B", &[1, 2]),
            r#"change [[["state"],"B"]], event 1, event 2"#
        );
        assert_eq!(told(&mut browser, "B", &[]), "");
    }

    #[test]
    fn a_frame_is_one_line() {
        let frames = Told::default().news(&Arc::new(json!({})), &lines(&[7]));
        insta::assert_snapshot!(frames[1].data, @r#"{"seq":7,"day":"Dec 31","time":"00:00:41","loud":false,"text":"two\nlines"}"#);
    }

    fn changes(before: &Value, now: &Value) -> Value {
        let mut changes = Vec::new();
        compare(before, now, &mut Vec::new(), &mut changes);
        Value::Array(changes)
    }

    #[test]
    fn what_did_not_change_is_not_told_again() {
        let before = json!({ "headline": "for 1s", "trouble": null, "units": [{ "unit": "a", "text": "waits" }, { "unit": "b", "text": "ready" }], "alarms": [] });
        let now = json!({ "headline": "for 2s", "trouble": "gone", "units": [{ "unit": "a", "text": "ready" }, { "unit": "b", "text": "ready" }], "alarms": ["x"] });
        insta::assert_snapshot!(changes(&before, &now), @r#"[[["headline"],"for 2s"],[["trouble"],"gone"],[["units",0,"text"],"ready"],[["alarms"],["x"]]]"#);
        assert_eq!(changes(&now, &now), json!([]));
    }

    /// As the page does it.
    fn apply(state: &mut Value, changes: &Value) {
        for change in changes.as_array().unwrap() {
            let mut place = &mut *state;
            for key in change[0].as_array().unwrap() {
                place = match key {
                    Value::String(key) => &mut place[key.as_str()],
                    key => &mut place[usize::try_from(key.as_u64().unwrap()).unwrap()],
                };
            }
            *place = change[1].clone();
        }
    }

    fn any() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any_number(),
            "[ab]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from);
            let map = prop::collection::btree_map("[xy]", inner, 0..3);
            prop_oneof![list, map.prop_map(|map| map.into_iter().collect())]
        })
    }

    fn any_number() -> impl Strategy<Value = Value> {
        (0..3_u8).prop_map(Value::from)
    }

    proptest! {
        #[test]
        fn changes_lead_from_one_state_to_any_other(before in any(), now in any()) {
            let mut state = before.clone();
            apply(&mut state, &changes(&before, &now));
            prop_assert_eq!(state, now);
        }
    }
}
