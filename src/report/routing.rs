//! Where calls went: the level that was reached for each evaluation, and the books.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::summary::table;
use crate::base::{Millis, Place, clean};
use crate::eval::{Account, Balance};
use crate::plan::{EvalPlan, Plan};
use crate::run::{EvalState, OutsideSeen, Routing, RunState, Sum};

/// Sockets are looked at so often at least, where that is called sampled without more words.
const OFTEN: Millis = Millis(1_000);

/// What servers and clients told of where calls went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Routed {
    /// The account of each model.
    pub accounts: Vec<Account>,
    /// Places that nobody declared and that clients say they called, and how often.
    pub elsewhere: Vec<(Place, u64)>,
}

/// How closely the calls of an evaluation's clients were watched, and what of them was not declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Watched {
    /// The evaluation.
    pub evaluation: String,
    /// The level that was reached, in words: `sampled: …`.
    pub level: String,
    /// Calls to places that nobody declared.
    pub undeclared: Vec<Undeclared>,
}

/// Calls to a place that nobody declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undeclared {
    /// Where.
    pub place: String,
    /// `called`, or `refused`, which its proxy did.
    pub seen: &'static str,
    /// How often.
    pub times: u64,
}

/// Of each evaluation whose client ran.
pub(super) fn watched(plan: &Plan, run: &RunState) -> Vec<Watched> {
    let ran = plan.evals.iter().filter_map(|eval| {
        let state = run.evals.get(&eval.name)?;
        (state.routing.clients > 0).then_some((eval, state))
    });
    ran.map(|(eval, state)| Watched {
        evaluation: eval.name.to_string(),
        level: level(eval, state),
        undeclared: undeclared(state),
    })
    .collect()
}

/// What the books are of, in words.
pub(super) fn since(run: &RunState) -> &'static str {
    if run.rebuilt {
        "requests since the journal was begun anew: what came before is not known"
    } else {
        "requests of this run"
    }
}

/// What is known of where calls went, in sentences; empty where no client ran.
pub(super) fn watched_lines(watched: &[Watched]) -> Vec<String> {
    let mut lines = Vec::new();
    for one in watched {
        lines.push(format!("calls of `{}` were {}", one.evaluation, one.level));
        lines.extend(one.undeclared.iter().map(|call| {
            let (place, times) = (clean(&call.place), often(call.times));
            format!("  {} {place}, {times}: NOT DECLARED", call.seen)
        }));
    }
    lines
}

/// What clients say themselves of places that nobody declared.
pub(super) fn elsewhere_line(place: &str, count: u64) -> String {
    format!(
        "by its own report a client called {}, {}: NOT DECLARED",
        clean(place),
        often(count)
    )
}

/// What is known of where calls went; empty where no client ran.
pub fn routing_text(plan: &Plan, run: &RunState, routed: &Routed) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for line in watched_lines(&watched(plan, run)) {
        let _ = writeln!(text, "{line}");
    }
    if !routed.accounts.is_empty() {
        let _ = write!(text, "\nbooks: {}\n{}", since(run), books(&routed.accounts));
    }
    for (place, count) in &routed.elsewhere {
        let _ = writeln!(text, "{}", elsewhere_line(&place.to_string(), *count));
    }
    text
}

/// The level that was reached, in words: `sampled: …`.
fn level(eval: &EvalPlan, state: &EvalState) -> String {
    let Routing {
        clients,
        unseen,
        looks,
        longest,
        unscrubbed,
        dropped,
        slipped,
    } = &state.routing;
    let names = |set: &std::collections::BTreeSet<String>| {
        let names: Vec<&str> = set.iter().map(String::as_str).collect();
        clean(&names.join(", "))
    };
    if !slipped.is_empty() {
        return format!(
            "NOT scrubbed: its client was given {} and nobody asked for it",
            names(slipped)
        );
    }
    let starts = |count: &u32| format!("of {count} of {clients} starts of its client");
    if *unscrubbed > 0 {
        return format!(
            "NOT scrubbed: the environment {} is not recorded",
            starts(unscrubbed)
        );
    }
    let kept = match dropped.len() {
        0 => "nothing had to be dropped from its environment".to_owned(),
        _ => format!("dropped from its environment: {}", names(dropped)),
    };
    if *unseen > 0 {
        let why = "the end was not watched, or they could not be seen";
        return format!(
            "scrubbed alone: nobody looked at the sockets {} ({why}); {kept}",
            starts(unseen)
        );
    }
    let gaps = if *longest > OFTEN {
        format!(", once {longest} apart")
    } else {
        String::new()
    };
    let sampled = format!("{looks} looks at its sockets{gaps}; {kept}");
    let mut outside = state.outside.keys();
    let around = outside.any(|(_, seen)| *seen == OutsideSeen::Connected);
    match (eval.egress.is_some(), around) {
        (true, false) => format!("enforced: only its proxy let it out; {sampled}"),
        (true, true) => format!("NOT enforced: it went around its proxy; sampled: {sampled}"),
        (false, _) => format!("sampled: {sampled}"),
    }
}

fn often(times: u64) -> String {
    match times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    }
}

fn undeclared(state: &EvalState) -> Vec<Undeclared> {
    let call = |((place, seen), times): (&(String, OutsideSeen), &u64)| Undeclared {
        place: place.clone(),
        seen: match seen {
            OutsideSeen::Connected => "called",
            OutsideSeen::Refused => "refused",
        },
        times: *times,
    };
    state.outside.iter().map(call).collect()
}

fn books(accounts: &[Account]) -> String {
    let header = ["model", "served", "ours", "reported", "failed"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(accounts.iter().map(|account| {
        let counted = |what: fn(&Sum) -> u64| {
            let served = account.served.as_ref().map(what);
            served.map_or("?".to_owned(), |count| count.to_string())
        };
        vec![
            clean(&account.model),
            counted(|served| served.finished),
            counted(|served| served.ours),
            account.answered.to_string(),
            account.failed.to_string(),
        ]
    }));
    let verdicts = accounts.iter().map(|account| verdict(&account.balance));
    let verdicts = std::iter::once(String::new()).chain(verdicts);
    let numbers = table(&rows, 1);
    numbers
        .lines()
        .zip(verdicts)
        .fold(String::new(), |mut text, (line, verdict)| {
            let _ = writeln!(text, "{}", format!("{line}  {verdict}").trim_end());
            text
        })
}

/// The balance of an account, in words.
pub(super) fn verdict(balance: &Balance) -> String {
    let some = |number: u64, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    match balance {
        Balance::Even => "balanced".to_owned(),
        Balance::Unreported(number) => {
            format!(
                "not balanced: {} that nobody reports",
                some(*number, "request")
            )
        }
        Balance::Elsewhere(number) => {
            let calls = some(*number, "call");
            format!("not balanced: {calls} went elsewhere, for no server finished them")
        }
        Balance::Open(why) => format!("cannot be told: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{ClusterName, Epoch, EvalName, RunId, Timestamp};
    use crate::plan::plan_tests::clean;
    use crate::run::{Event, Record};

    const YAML: &str = "version: 1
name: a
nodes: { n: { gpus: 0, transport: local, address: 10.0.0.5 } }
evals:
  hle: { command: [/bin/true], results: out, finished: { count: 1 }, egress: proxy }
  frames: { command: [/bin/true], results: out2, finished: { count: 1 } }
  tau: { command: [/bin/true], results: out3, finished: { count: 1 } }
  gaia: { command: [/bin/true], results: out4, finished: { count: 1 } }
  sums: { command: [/bin/true], results: out5, finished: { count: 1 } }
";

    fn run(events: Vec<Event>) -> RunState {
        let first = Event::RunStarted {
            run: RunId::new("a-1-0000"),
            cluster: ClusterName::new("a"),
            plan_sha256: String::new(),
            version: "0".to_owned(),
            rebuilt: false,
        };
        let records: Vec<Record> = std::iter::once(first)
            .chain(events)
            .zip(1..)
            .map(|(event, seq)| Record {
                v: Record::FORMAT,
                seq,
                at: Timestamp(1),
                epoch: Epoch(1),
                event,
            })
            .collect();
        RunState::fold(&records)
    }

    fn routed(
        eval: &str,
        looks: u64,
        longest: u64,
        dropped: Option<&[&str]>,
        slipped: &[&str],
    ) -> Event {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Event::Routed {
            eval: EvalName::new(eval),
            looks,
            longest: Millis(longest),
            dropped: dropped.map(names),
            slipped: names(slipped),
        }
    }

    fn call(seen: OutsideSeen, place: &str, times: u64) -> Event {
        Event::OutsideCall {
            eval: EvalName::new("hle"),
            place: place.to_owned(),
            seen,
            times,
        }
    }

    fn of(accounts: Vec<Account>, elsewhere: Vec<(Place, u64)>) -> Routed {
        Routed {
            accounts,
            elsewhere,
        }
    }

    #[test]
    fn each_level_is_named_with_its_evidence() {
        let run = run(vec![
            routed(
                "hle",
                118,
                520,
                Some(&["NEBIUS_API_KEY", "https_proxy"]),
                &[],
            ),
            call(OutsideSeen::Refused, "api.x.com:443", 3),
            routed("frames", 40, 2_400, Some(&[]), &[]),
            routed("tau", 9, 500, Some(&[]), &[]),
            routed("tau", 0, 0, Some(&[]), &[]),
            routed("gaia", 9, 500, None, &[]),
            routed("sums", 9, 500, Some(&[]), &["OPENAI_API_KEY"]),
        ]);
        insta::assert_snapshot!(routing_text(&clean(YAML), &run, &Routed::default()), @r"
        calls of `hle` were enforced: only its proxy let it out; 118 looks at its sockets; dropped from its environment: NEBIUS_API_KEY, https_proxy
          refused api.x.com:443, 3 times: NOT DECLARED
        calls of `frames` were sampled: 40 looks at its sockets, once 2.4s apart; nothing had to be dropped from its environment
        calls of `tau` were scrubbed alone: nobody looked at the sockets of 1 of 2 starts of its client (the end was not watched, or they could not be seen); nothing had to be dropped from its environment
        calls of `gaia` were NOT scrubbed: the environment of 1 of 1 starts of its client is not recorded
        calls of `sums` were NOT scrubbed: its client was given OPENAI_API_KEY and nobody asked for it
        ");
    }

    #[test]
    fn enforced_is_said_of_no_client_that_went_around_its_proxy() {
        let mut events = vec![
            routed("hle", 118, 520, Some(&[]), &[]),
            call(OutsideSeen::Refused, "api.x.com:443", 3),
        ];
        insta::assert_snapshot!(routing_text(&clean(YAML), &run(events.clone()), &Routed::default()), @r"
        calls of `hle` were enforced: only its proxy let it out; 118 looks at its sockets; nothing had to be dropped from its environment
          refused api.x.com:443, 3 times: NOT DECLARED
        ");
        events.push(call(OutsideSeen::Connected, "203.0.113.7:443", 1));
        insta::assert_snapshot!(routing_text(&clean(YAML), &run(events), &Routed::default()), @r"
        calls of `hle` were NOT enforced: it went around its proxy; sampled: 118 looks at its sockets; nothing had to be dropped from its environment
          called 203.0.113.7:443, once: NOT DECLARED
          refused api.x.com:443, 3 times: NOT DECLARED
        ");
    }

    #[test]
    fn books_of_a_rebuilt_journal_say_from_when_on_they_are() {
        let account = Account {
            model: "org/m".to_owned(),
            served: None,
            answered: 18,
            failed: 0,
            balance: Balance::Even,
        };
        let mut run = run(Vec::new());
        run.rebuilt = true;
        insta::assert_snapshot!(routing_text(&clean(YAML), &run, &of(vec![account], Vec::new())), @r"

        books: requests since the journal was begun anew: what came before is not known
        model  served  ours  reported  failed
        org/m       ?     ?        18       0  balanced
        ");
    }

    #[test]
    fn the_books_say_what_is_wrong_in_words() {
        let account = |model: &str, finished, answered, failed, balance| Account {
            model: model.to_owned(),
            served: (finished > 0).then_some(Sum {
                finished,
                ours: 4,
                unsure: 0,
            }),
            answered,
            failed,
            balance,
        };
        let why = "the client reports no calls".to_owned();
        let accounts = [
            account("org/even", 104, 98, 2, Balance::Even),
            account("org/unreported", 12, 7, 0, Balance::Unreported(1)),
            account("org/elsewhere", 8, 11, 0, Balance::Elsewhere(7)),
            account("org/silent", 12, 0, 0, Balance::Open(why)),
            account(
                "org/running",
                0,
                3,
                0,
                Balance::Open("its client still runs".to_owned()),
            ),
        ];
        let routed = of(accounts.into(), vec![(Place::new("api.x.com", 443), 7)]);
        insta::assert_snapshot!(routing_text(&clean(YAML), &run(Vec::new()), &routed), @r"

        books: requests of this run
        model           served  ours  reported  failed
        org/even           104     4        98       2  balanced
        org/unreported      12     4         7       0  not balanced: 1 request that nobody reports
        org/elsewhere        8     4        11       0  not balanced: 7 calls went elsewhere, for no server finished them
        org/silent          12     4         0       0  cannot be told: the client reports no calls
        org/running          ?     ?         3       0  cannot be told: its client still runs
        by its own report a client called api.x.com:443, 7 times: NOT DECLARED
        ");
    }
}
