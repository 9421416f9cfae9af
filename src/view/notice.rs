//! What a person who is not there is told: one JSON object per call of the `notify` command.
//!
//! The same object is made by the script of an evaluation (`templates/lib/alone.sh`) where nobody watches.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words;
use crate::base::{
    ClusterName, EvalName, ExitStatus, Millis, RunId, Timestamp, UnitId, clean, cut, mask_keys,
};
use crate::plan::{NotifyPlan, Plan};
use crate::run::{Event, Record, Verdict};
use crate::spec::model::NotifyOn;
use crate::view::Iso;

/// Columns of the longest text that is told.
const LONGEST: usize = 1500;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Info,
    /// A person should know.
    Warning,
    /// Something was given up.
    Error,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The version of this form: 1.
    format: u32,
    /// What it is about.
    event: NotifyOn,
    level: Level,
    cluster: ClusterName,
    run: RunId,
    /// An alarm's stable word.
    alarm: Option<String>,
    unit: Option<UnitId>,
    eval: Option<EvalName>,
    /// The exit code of a controller whose work is over.
    code: Option<u8>,
    text: String,
    at: Iso,
    /// The host that tells it.
    host: String,
    /// So many others of the same kind came since the last call.
    more: usize,
}

impl Notice {
    /// As one line of JSON, with its end.
    pub fn json(&self) -> String {
        let json = serde_json::to_string(self);
        json.unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string())
            + "\n"
    }
}

/// What is told and what waits: the same alarm is told once in a while, and with it how often it came since.
#[derive(Debug)]
pub struct Notices {
    on: Vec<NotifyOn>,
    every: Millis,
    cluster: ClusterName,
    run: RunId,
    host: String,
    /// The evaluation of each client.
    clients: BTreeMap<UnitId, EvalName>,
    gates: BTreeMap<String, Gate>,
}

/// One kind of notice: when it was last told, and the latest of those that came since.
#[derive(Debug)]
struct Gate {
    told: Timestamp,
    held: Option<Notice>,
}

impl Notices {
    /// What `notify` of this plan is told of a run, from this host.
    pub fn new(notify: &NotifyPlan, plan: &Plan, run: RunId, host: String) -> Self {
        Self {
            on: notify.on.clone(),
            every: notify.every,
            cluster: plan.cluster.clone(),
            run,
            host,
            clients: (plan.evals.iter())
                .map(|eval| (eval.unit.clone(), eval.name.clone()))
                .collect(),
            gates: BTreeMap::new(),
        }
    }

    /// What is to be told of a record now.
    pub fn of(&mut self, record: &Record) -> Option<Notice> {
        let (at, event) = (record.at, &record.event);
        match event {
            Event::Alarm { alarm, unit, text } => {
                let mut notice = self.notice(NotifyOn::Alarm, Level::Warning, text, at);
                notice.alarm = Some(clean(alarm));
                notice.unit.clone_from(unit);
                let eval = unit.as_ref().and_then(|unit| self.clients.get(unit));
                notice.eval = eval.cloned();
                self.pass(format!("alarm {alarm}"), notice, at)
            }
            Event::GaveUp { unit, why } => {
                let text = format!("`{unit}` is given up: {}", words::gave_up(why));
                let mut notice = self.notice(NotifyOn::GaveUp, Level::Error, &text, at);
                notice.unit = Some(unit.clone());
                self.pass("gave-up".to_owned(), notice, at)
            }
            Event::EvalEnded { eval, verdict } => {
                let level = if *verdict == Verdict::Complete {
                    Level::Info
                } else {
                    Level::Error
                };
                let text = format!("evaluation `{eval}`: {}", words::verdict(verdict));
                let mut notice = self.notice(NotifyOn::Evaluation, level, &text, at);
                notice.eval = Some(eval.clone());
                self.wanted(notice)
            }
            _ => None,
        }
    }

    /// The controller's work is over, or it was told to go: all that is still to be told.
    pub fn end(&mut self, code: ExitStatus, summary: &str, now: Timestamp) -> Vec<Notice> {
        let level = match code {
            ExitStatus::Done => Level::Info,
            ExitStatus::Interrupted | ExitStatus::Terminated => Level::Warning,
            _ => Level::Error,
        };
        let mut notice = self.notice(NotifyOn::Ended, level, summary, now);
        notice.code = Some(code.code());
        let held = self.gates.values_mut().filter_map(|gate| gate.held.take());
        let held: Vec<Notice> = held.collect();
        held.into_iter().chain(self.wanted(notice)).collect()
    }

    /// What was held back for long enough.
    pub fn due(&mut self, now: Timestamp) -> Vec<Notice> {
        let due = self.gates.values_mut().filter_map(|gate| {
            let held = gate.held.take_if(|_| now.since(gate.told) >= self.every)?;
            gate.told = now;
            Some(held)
        });
        due.collect()
    }

    fn notice(&self, event: NotifyOn, level: Level, text: &str, at: Timestamp) -> Notice {
        Notice {
            format: 1,
            event,
            level,
            cluster: self.cluster.clone(),
            run: self.run.clone(),
            alarm: None,
            unit: None,
            eval: None,
            code: None,
            text: cut(&mask_keys(&clean(text)), LONGEST),
            at: Iso(at),
            host: self.host.clone(),
            more: 0,
        }
    }

    fn wanted(&self, notice: Notice) -> Option<Notice> {
        self.on.contains(&notice.event).then_some(notice)
    }

    /// Tells it, or holds it back where the same was told a moment ago.
    fn pass(&mut self, kind: String, notice: Notice, now: Timestamp) -> Option<Notice> {
        let notice = self.wanted(notice)?;
        let Some(gate) = self.gates.get_mut(&kind) else {
            self.gates.insert(
                kind,
                Gate {
                    told: now,
                    held: None,
                },
            );
            return Some(notice);
        };
        let more = gate.held.take().map_or(0, |held| held.more + 1);
        let notice = Notice { more, ..notice };
        if now.since(gate.told) >= self.every {
            gate.told = now;
            return Some(notice);
        }
        gate.held = Some(notice);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::GaveUp;
    use crate::view::testing::{Story, plan};

    const MINUTE: u64 = 60_000;

    fn notices(on: &[NotifyOn]) -> Notices {
        let notify = NotifyPlan {
            argv: vec!["tell".to_owned()],
            dir: "/".to_owned(),
            on: on.to_vec(),
            every: Millis(10 * MINUTE),
        };
        Notices::new(
            &notify,
            &plan(2),
            RunId::new("night-1-abcd"),
            "desk".to_owned(),
        )
    }

    /// What is told of all that happened since the last call.
    fn told(notices: &mut Notices, story: &mut Story) -> String {
        let records = std::mem::take(&mut story.records);
        let mut all: Vec<Notice> = records
            .iter()
            .filter_map(|record| notices.of(record))
            .collect();
        all.extend(notices.due(story.now()));
        all.iter().map(Notice::json).collect()
    }

    #[test]
    fn a_notice_is_one_line_of_json_that_harms_nobody() {
        let all = [
            NotifyOn::Alarm,
            NotifyOn::GaveUp,
            NotifyOn::Evaluation,
            NotifyOn::Ended,
        ];
        let (mut notices, mut story) = (notices(&all), Story::begun());
        story.alarm(
            "slow",
            "answer-1 is \u{1b}[31mslow\u{1b}[0m, key sk-proj-0123456789abcdefghijklmnop\n",
        );
        story.tell(Event::Alarm {
            alarm: "held".to_owned(),
            unit: Some(UnitId::new("eval-hle")),
            text: "`hle` is held".to_owned(),
        });
        story.give_up("orchestrator-0", GaveUp::Budget { starts: 3 });
        let why = "the client ended with code 1".to_owned();
        story.end("hle", Verdict::Incomplete { missing: 3, why });
        insta::assert_snapshot!(told(&mut notices, &mut story), @r#"
        {"format":1,"event":"alarm","level":"warning","cluster":"night","run":"night-1-abcd","alarm":"slow","unit":null,"eval":null,"code":null,"text":"answer-1 is slow, key ********************************** ","at":"2025-12-31T00:00:00.000Z","host":"desk","more":0}
        {"format":1,"event":"alarm","level":"warning","cluster":"night","run":"night-1-abcd","alarm":"held","unit":"eval-hle","eval":"hle","code":null,"text":"`hle` is held","at":"2025-12-31T00:00:00.000Z","host":"desk","more":0}
        {"format":1,"event":"gave-up","level":"error","cluster":"night","run":"night-1-abcd","alarm":null,"unit":"orchestrator-0","eval":null,"code":null,"text":"`orchestrator-0` is given up: each of its 3 starts ended, and `restart` allows no more","at":"2025-12-31T00:00:00.000Z","host":"desk","more":0}
        {"format":1,"event":"evaluation","level":"error","cluster":"night","run":"night-1-abcd","alarm":null,"unit":null,"eval":"hle","code":null,"text":"evaluation `hle`: incomplete, 3 missing: the client ended with code 1","at":"2025-12-31T00:00:00.000Z","host":"desk","more":0}
        "#);
        let end = notices.end(ExitStatus::Incomplete, "hle: incomplete", story.now());
        let end: String = end.iter().map(Notice::json).collect();
        insta::assert_snapshot!(end, @r#"{"format":1,"event":"ended","level":"error","cluster":"night","run":"night-1-abcd","alarm":null,"unit":null,"eval":null,"code":5,"text":"hle: incomplete","at":"2025-12-31T00:00:00.000Z","host":"desk","more":0}"#);
    }

    #[test]
    fn what_nobody_asked_for_is_not_told() {
        let (mut notices, mut story) = (notices(&[NotifyOn::GaveUp]), Story::begun());
        story.alarm("slow", "a").end("hle", Verdict::Complete);
        assert_eq!(told(&mut notices, &mut story), "");
        assert_eq!(notices.end(ExitStatus::Done, "done", story.now()), []);
    }

    #[test]
    fn the_same_alarm_is_told_once_in_a_while_and_none_is_forgotten() {
        let (mut notices, mut story) = (notices(&[NotifyOn::Alarm]), Story::begun());
        let mut said = Vec::new();
        for minute in 0..25 {
            story.alarm("slow", &format!("minute {minute}"));
            if minute == 3 {
                story.alarm("stalled", "another word waits for nobody");
            }
            for line in told(&mut notices, &mut story).lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                said.push(format!(
                    "{minute}: {} +{}",
                    line["text"].as_str().unwrap(),
                    line["more"]
                ));
            }
            story.wait(MINUTE);
        }
        assert_eq!(
            said,
            [
                "0: minute 0 +0",
                "3: another word waits for nobody +0",
                "10: minute 10 +9",
                "20: minute 20 +9",
            ]
        );
        let rest = notices.end(ExitStatus::Done, "", story.now());
        assert_eq!(rest.len(), 1);
        assert_eq!((rest[0].text.as_str(), rest[0].more), ("minute 24", 3));
    }

    #[test]
    fn what_was_held_back_is_told_when_its_time_comes() {
        let (mut notices, mut story) = (notices(&[NotifyOn::Alarm]), Story::begun());
        story.alarm("slow", "one").alarm("slow", "two");
        assert_eq!(told(&mut notices, &mut story).lines().count(), 1);
        story.wait(10 * MINUTE);
        assert!(told(&mut notices, &mut story).contains("two"));
        assert_eq!(told(&mut notices, &mut story), "");
    }
}
