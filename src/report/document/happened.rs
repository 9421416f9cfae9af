//! What happened in a run, as blocks.

use super::blocks::{Block, counted};
use crate::base::{Millis, clean};
use crate::report::happened::{Alarm, Book, Happened, Restarts};
use crate::report::routing::{elsewhere_line, watched_lines};

/// So many alarms and units are named; the others are counted.
const NAMED: usize = 10;

/// Alarms and starts anew; nothing where there was none.
pub(super) fn trouble(found: &Happened) -> Vec<Block> {
    let mut lines = some(found.alarms.iter().map(alarm).collect(), "alarm");
    lines.extend(some(found.restarts.iter().map(restarts).collect(), "unit"));
    if lines.is_empty() {
        return Vec::new();
    }
    vec![
        Block::Heading("what went wrong on the way".to_owned()),
        Block::Lines(lines),
    ]
}

/// Where calls went.
pub(in crate::report) fn calls(found: &Happened) -> Vec<Block> {
    let mut lines = watched_lines(&found.calls);
    if !found.books.is_empty() {
        lines.push(format!("books: {}", found.books_since));
    }
    let elsewhere = found.elsewhere.iter();
    lines.extend(elsewhere.map(|one| elsewhere_line(&one.place, one.calls)));
    if lines.is_empty() {
        return Vec::new();
    }
    let mut all = vec![
        Block::Title("where calls went".to_owned()),
        Block::Lines(lines),
    ];
    if !found.books.is_empty() {
        all.push(Block::Table {
            left: 2,
            rows: books(&found.books),
        });
    }
    all
}

fn some(mut lines: Vec<String>, what: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(NAMED);
    lines.truncate(NAMED);
    if more > 0 {
        lines.push(format!("and {} more", counted(more, what)));
    }
    lines
}

fn alarm(alarm: &Alarm) -> String {
    let unit = alarm.unit.as_ref();
    let unit = unit.map_or_else(String::new, |unit| format!(" of {unit}"));
    let over = match (&alarm.over, alarm.over_after) {
        (None, _) => String::new(),
        (Some(at), None) => format!("; over at {at}"),
        (Some(_), Some(after)) => format!("; over after {after}"),
    };
    let (name, text) = (&alarm.name, clean(&alarm.text));
    let at = moment(&alarm.at, alarm.after);
    format!("{at} alarm `{name}`{unit}: {text}{over}")
}

/// No clock on a wall shows moments of a rehearsal: they are told from its begin on, as on the page.
fn moment(at: &str, after: Option<Millis>) -> String {
    after.map_or_else(|| at.to_owned(), |after| format!("after {after}"))
}

fn restarts(found: &Restarts) -> String {
    let again = match found.again {
        0 => "not started again".to_owned(),
        1 => "started again once".to_owned(),
        times => format!("started again {times} times"),
    };
    let last = found.ends.last();
    let last = last.map_or_else(String::new, |end| {
        let rest = found.ends.len() - 1;
        let rest = if rest > 0 {
            format!(", and so {rest} before")
        } else {
            String::new()
        };
        let at = moment(&end.at, end.after);
        format!("; {at} {}{rest}", clean(&end.words))
    });
    format!("{}: {again}{last}", found.unit)
}

fn books(all: &[Book]) -> Vec<Vec<String>> {
    let head = ["model", "balance", "served", "ours", "reported", "failed"];
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|book| {
        vec![
            clean(&book.model),
            book.balance.clone(),
            count(book.served),
            count(book.ours),
            book.reported.to_string(),
            book.failed.to_string(),
        ]
    }));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::happened::{Elsewhere, End};
    use crate::report::routing::{Undeclared, Watched};

    #[test]
    fn alarms_starts_anew_and_books_are_said() {
        let end = |words: &str| End {
            at: "2025-12-31T21:10:00.000Z".to_owned(),
            after: None,
            words: words.to_owned(),
        };
        let restarted = |unit: &str, again, ends: Vec<End>| Restarts {
            unit: unit.to_owned(),
            again,
            ends,
        };
        let book = |model: &str, served, balance: &str| Book {
            model: model.to_owned(),
            served,
            ours: served.map(|_| 4),
            reported: 98,
            failed: 2,
            balanced: None,
            balance: balance.to_owned(),
        };
        let mut found = Happened {
            alarms: vec![Alarm {
                at: "2025-12-31T21:09:00.000Z".to_owned(),
                after: None,
                over: Some("2025-12-31T21:11:00.000Z".to_owned()),
                over_after: None,
                name: "no-progress".to_owned(),
                unit: Some("orchestrator-1".to_owned()),
                text: "it does not answer".to_owned(),
            }],
            restarts: vec![
                restarted(
                    "orchestrator-1",
                    2,
                    vec![end("a"), end("ended by itself with code 1")],
                ),
                restarted("eval-hle", 1, Vec::new()),
                restarted("expert-0", 0, vec![end("given up")]),
            ],
            calls: vec![Watched {
                evaluation: "hle".to_owned(),
                level: "sampled: 118 looks at its sockets".to_owned(),
                undeclared: vec![Undeclared {
                    place: "203.0.113.7:443".to_owned(),
                    seen: "called",
                    times: 2,
                }],
            }],
            books: vec![
                book("org/even", Some(104), "balanced"),
                book(
                    "org/silent",
                    None,
                    "cannot be told: the client reports no calls",
                ),
            ],
            books_since: "requests of this run",
            elsewhere: vec![Elsewhere {
                place: "api.x.com:443".to_owned(),
                calls: 7,
            }],
        };
        let text = |blocks: Vec<Block>| super::super::text::of(&blocks);
        insta::assert_snapshot!(text(trouble(&found)) + "\n" + &text(calls(&found)), @r"
        what went wrong on the way
          2025-12-31T21:09:00.000Z alarm `no-progress` of orchestrator-1: it does not answer; over at 2025-12-31T21:11:00.000Z
          orchestrator-1: started again 2 times; 2025-12-31T21:10:00.000Z ended by itself with code 1, and so 1 before
          eval-hle: started again once
          expert-0: not started again; 2025-12-31T21:10:00.000Z given up

        where calls went
          calls of `hle` were sampled: 118 looks at its sockets
            called 203.0.113.7:443, 2 times: NOT DECLARED
          books: requests of this run
          by its own report a client called api.x.com:443, 7 times: NOT DECLARED
        model       balance                                      served  ours  reported  failed
        org/even    balanced                                        104     4        98       2
        org/silent  cannot be told: the client reports no calls       ?     ?        98       2
        ");
        // A rehearsal goes faster than the clock here.
        let minutes = |count: u64| Some(Millis::from_secs(60 * count));
        (found.alarms[0].after, found.alarms[0].over_after) = (minutes(29), minutes(31));
        found.restarts[0].ends[1].after = minutes(30);
        found.restarts.truncate(1);
        insta::assert_snapshot!(text(trouble(&found)), @r"
        what went wrong on the way
          after 29m 00s alarm `no-progress` of orchestrator-1: it does not answer; over after 31m 00s
          orchestrator-1: started again 2 times; after 30m 00s ended by itself with code 1, and so 1 before
        ");
        found.alarms = vec![found.alarms[0].clone(); 12];
        found.restarts.clear();
        assert!(text(trouble(&found)).ends_with("\n  and 2 alarms more\n"));
        found.alarms.clear();
        assert!(trouble(&found).is_empty());
    }
}
