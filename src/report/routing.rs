//! Where calls went: the level that was reached for each evaluation, and the books.

use std::fmt::Write as _;

use super::summary::{plain, table};
use crate::base::{Millis, Place};
use crate::eval::{Account, Balance};
use crate::plan::{EvalPlan, Plan};
use crate::run::{EvalState, OutsideSeen, Routing, RunState};

/// Sockets are looked at so often at least, where that is called sampled without more words.
const OFTEN: Millis = Millis(1_000);

/// What is known of where calls went; empty where no client ran.
pub fn routing_text(
    plan: &Plan,
    run: &RunState,
    accounts: &[Account],
    elsewhere: &[(Place, u64)],
) -> String {
    let ran = plan.evals.iter().filter_map(|eval| {
        let state = run.evals.get(&eval.name)?;
        (state.routing.clients > 0).then_some((eval, state))
    });
    let mut text = String::new();
    for (eval, state) in ran {
        let (name, level) = (&eval.name, level(eval, &state.routing));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "calls of `{name}` were {level}");
        text.push_str(&outside(state));
    }
    if !accounts.is_empty() {
        let _ = write!(text, "\nbooks: requests of this run\n{}", books(accounts));
    }
    for (place, count) in elsewhere {
        let _ = writeln!(
            text,
            "by its own report a client called {} {count} times: NOT DECLARED",
            plain(&place.to_string())
        );
    }
    text
}

/// The level that was reached, in words: `sampled: …`.
fn level(eval: &EvalPlan, routing: &Routing) -> String {
    let Routing {
        clients,
        unseen,
        looks,
        longest,
        unscrubbed,
        dropped,
        slipped,
    } = routing;
    let names = |set: &std::collections::BTreeSet<String>| {
        let names: Vec<&str> = set.iter().map(String::as_str).collect();
        plain(&names.join(", "))
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
    if eval.egress.is_some() {
        format!("enforced: only its proxy let it out; {sampled}")
    } else {
        format!("sampled: {sampled}")
    }
}

fn outside(state: &EvalState) -> String {
    let line = |((place, seen), times): (&(String, OutsideSeen), &u64)| {
        let what = match seen {
            OutsideSeen::Connected => "called",
            OutsideSeen::Refused => "refused",
        };
        format!("  {what} {}, {times} times: NOT DECLARED\n", plain(place))
    };
    state.outside.iter().map(line).collect()
}

fn books(accounts: &[Account]) -> String {
    let header = ["model", "served", "ours", "reported", "failed"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(accounts.iter().map(|account| {
        vec![
            plain(&account.model),
            account.served.finished.to_string(),
            account.served.ours.to_string(),
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

fn verdict(balance: &Balance) -> String {
    let requests = |count: &u64| match count {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    };
    match balance {
        Balance::Even => "balanced".to_owned(),
        Balance::Unreported(count) => {
            format!("not balanced: {} that nobody reports", requests(count))
        }
        Balance::Elsewhere(count) => {
            format!(
                "not balanced: {} that no server of it finished went elsewhere",
                requests(count)
            )
        }
        Balance::Open(why) => format!("cannot be told: {why}"),
    }
}
