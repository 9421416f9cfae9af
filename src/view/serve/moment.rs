//! A run at one moment, as the live page is told: the status, and the words that people read. Pure.

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::base::{EvalName, Millis, clean, float};
use crate::run::{Event, Record};
use crate::view::pace::rate;
use crate::view::plain::{Weight, sentence, weight};
use crate::view::{Status, wall};

/// A run at one moment. Its JSON form is versioned by `format`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// The version of this form: 1.
    pub format: u32,
    /// The run's name, or the cluster's.
    pub name: String,
    /// Whether it runs, and since when.
    pub headline: String,
    /// Who watches, and what cannot be seen.
    pub remarks: Vec<String>,
    /// Why this is not the present: the journal cannot be read any more.
    pub trouble: Option<String>,
    /// What limits the run; none where nothing is known.
    pub verdict: Vec<String>,
    /// For each evaluation of the status, in its order.
    pub evals: Vec<EvalNumbers>,
    /// For each alarm of the status, in its order.
    pub alarms: Vec<AlarmTimes>,
    /// As `toolorch status --json`.
    pub status: Status,
}

/// The numbers of an evaluation as people read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvalNumbers {
    /// Of those answered (done and not in error), right: `62.1 %`.
    pub accuracy: Option<String>,
    /// `4.2/min`.
    pub pace: Option<String>,
    /// `5h 20m`; `unknown` where nothing moves; none where the verdict tells it.
    pub left: Option<String>,
    /// For how long nothing was finished, where that is longer than usual.
    pub still: Option<String>,
}

/// When an alarm was, and since when it is over, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmTimes {
    /// When.
    pub at: String,
    /// Since when it is over.
    pub over: Option<String>,
}

impl Moment {
    /// Reads a status, with times in this zone. The time left of evaluations that are foretold stands in the verdict.
    pub fn new(status: Status, verdict: &[String], foretold: &[EvalName], zone: &TimeZone) -> Self {
        let now = status.at.0;
        let moment = |at| wall::moment(at, now, zone);
        let evals = status.evals.iter().map(|eval| EvalNumbers {
            accuracy: eval
                .correct
                .and_then(|correct| percent(correct, eval.done.saturating_sub(eval.errors))),
            pace: eval.per_minute.map(rate),
            left: match (eval.still_ms, eval.left_ms) {
                (Some(_), _) => Some("unknown".to_owned()),
                (None, left) => left.filter(|_| !foretold.contains(&eval.name)).map(whole),
            },
            still: eval.still_ms.map(whole),
        });
        let alarms = status.alarms.iter().map(|alarm| AlarmTimes {
            at: moment(alarm.at.0),
            over: alarm.over.map(|over| moment(over.0)),
        });
        Self {
            format: 1,
            name: clean(&status.name()),
            headline: status.headline(zone),
            remarks: status.remarks(zone).iter().map(|it| clean(it)).collect(),
            trouble: None,
            verdict: verdict.iter().map(|line| clean(line)).collect(),
            evals: evals.collect(),
            alarms: alarms.collect(),
            status,
        }
    }

    /// The same, with a reason for which it is not the present.
    #[must_use]
    pub fn in_trouble(mut self, why: &str) -> Self {
        self.trouble = Some(clean(why));
        self
    }
}

/// A length that does not flicker: no tenths of seconds.
fn whole(length: Millis) -> String {
    Millis::from_secs(length.as_secs()).to_string()
}

fn percent(part: usize, of: usize) -> Option<String> {
    (of > 0).then(|| format!("{:.1} %", 100.0 * float(part) / float(of)))
}

/// A line of the log on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// The number of its record; a number that is not higher than the last one begins the log anew.
    pub seq: u64,
    /// `Nov 22`.
    pub day: String,
    /// `08:12:03`.
    pub time: String,
    /// A person should look.
    pub loud: bool,
    /// What happened.
    pub text: String,
}

impl Line {
    /// A record's line; none for steps on the way, and for progress, which has bars.
    pub(super) fn of(record: &Record, zone: &TimeZone) -> Option<Self> {
        let weight = weight(&record.event);
        if weight < Weight::Normal || matches!(record.event, Event::EvalProgress { .. }) {
            return None;
        }
        Some(Self {
            seq: record.seq,
            day: wall::day(record.at, zone),
            time: wall::time(record.at, zone),
            loud: weight >= Weight::Loud,
            text: clean(&sentence(&record.event)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing::{Story, plan};

    fn moment(story: &Story) -> Moment {
        foretold(story, &[])
    }

    fn foretold(story: &Story, evals: &[EvalName]) -> Moment {
        let status = Status::new(&plan(2), &story.state, story.now());
        Moment::new(
            status,
            &["limited by \u{1b}[2Jorchestrator".to_owned()],
            evals,
            &TimeZone::UTC,
        )
    }

    #[test]
    fn numbers_are_words_for_people() {
        let mut story = Story::begun();
        story.start("eval-hle");
        for second in 0..30 {
            story.progress("hle", second * 20, 2158).wait(1000);
        }
        story.alarm(
            "first-results-all-errors",
            "the first 8 results are all errors",
        );
        let moment = moment(&story);
        insta::assert_json_snapshot!(
            (&moment.name, &moment.headline, &moment.remarks, &moment.verdict, &moment.evals, &moment.alarms),
            @r#"
        [
          "night-1-abcd",
          "running for 30.0s, since 00:00:00",
          [
            "watched by pid 4242 on desk since 00:00:00"
          ],
          [
            "limited by orchestrator"
          ],
          [
            {
              "accuracy": "52.6 %",
              "pace": "19/s",
              "left": "1m 21s",
              "still": null
            },
            {
              "accuracy": null,
              "pace": null,
              "left": null,
              "still": null
            }
          ],
          [
            {
              "at": "00:00:30",
              "over": null
            }
          ]
        ]
        "#
        );
        // The time left is told once.
        let foretold = foretold(&story, &[EvalName::new("hle")]);
        let eval = &foretold.evals[0];
        assert_eq!(
            (eval.left.as_deref(), eval.pace.as_deref()),
            (None, Some("19/s"))
        );
        assert_eq!(foretold.status, moment.status);
    }

    #[test]
    fn the_log_leaves_steps_and_progress_out() {
        let mut story = Story::begun();
        story
            .start("orchestrator-0")
            .climb("orchestrator-0", "health");
        story.progress("hle", 1, 9);
        story.die("orchestrator-0", 139, "a\n\u{1b}[31mb\u{202e}");
        let lines = story.records.iter();
        let lines: Vec<Line> = lines
            .filter_map(|it| Line::of(it, &TimeZone::UTC))
            .collect();
        insta::assert_json_snapshot!(lines, @r#"
        [
          {
            "seq": 1,
            "day": "Dec 31",
            "time": "00:00:00",
            "loud": false,
            "text": "run night-1-abcd of night began, toolorch 0.1.0"
          },
          {
            "seq": 2,
            "day": "Dec 31",
            "time": "00:00:00",
            "loud": false,
            "text": "watched by desk, pid 4242"
          },
          {
            "seq": 8,
            "day": "Dec 31",
            "time": "00:00:00",
            "loud": true,
            "text": "orchestrator-0 ended with code 139 (SIGSEGV inferred): a b"
          }
        ]
        "#);
    }
}
