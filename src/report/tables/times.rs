//! The times behind the rows of tools and of the orchestrator, for those who want more of them than a row.

use std::collections::BTreeSet;

use super::coverage::{Coverage, Errors};
use super::evaluation::{Found, is_orchestrator, is_wanted, logged_to, tools};
use super::most::{NAMES, others};
use super::rows::Part;
use crate::eval::{ORCHESTRATOR, TimedCall};

/// The times of a kind of call.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Which: the tool, or `orchestrator`.
    pub name: String,
    /// The models that answer for it, by name; the first fifty.
    pub models: Vec<String>,
    /// Those that count, in seconds, rising; none may be known.
    pub seconds: Vec<f64>,
}

/// Of the orchestrator, where it is told, and of each tool: of the same calls as in the tables, and in their order.
pub fn times(found: &Found) -> Vec<Times> {
    let calls = || {
        let wanted = (found.written.iter()).filter(|one| is_wanted(one, found.expected.as_ref()));
        wanted.flat_map(|one| &one.answer.calls)
    };
    let named = found.orchestrator.as_deref();
    let logged = found.logged.as_ref();
    let logged = logged.and_then(|logged| Some(logged_to(logged, named, calls()).ok()?.1));
    let listed = || calls().filter(|call| is_orchestrator(call)).collect();
    let own: Vec<&TimedCall> = logged.unwrap_or_else(listed);
    let own = (!own.is_empty()).then(|| of(ORCHESTRATOR, &own, Part::Model, Errors::LeftOut));
    let mut tools = tools(calls());
    let others = others(&mut tools, NAMES);
    let of_tool = |tool: &str, calls: &[_]| of(tool, calls, Part::Whole, Errors::Counted);
    let tools = tools.into_iter();
    let tools = tools.map(|((_, tool), calls)| of_tool(tool, &calls));
    let rest = others.map(|(count, calls)| of_tool(&format!("others ({count})"), &calls));
    own.into_iter().chain(tools).chain(rest).collect()
}

fn of(name: &str, calls: &[&TimedCall], part: Part, errors: Errors) -> Times {
    let mut coverage = Coverage::default();
    let used = calls.iter().filter_map(|call| {
        let time = coverage.take(call, errors)?;
        part.of(time).map(|ms| ms / 1000.0)
    });
    let mut seconds: Vec<f64> = used.collect();
    seconds.sort_unstable_by(f64::total_cmp);
    let models: BTreeSet<&str> = calls
        .iter()
        .filter_map(|call| call.model.as_deref())
        .collect();
    Times {
        name: name.to_owned(),
        models: models.into_iter().take(NAMES).map(str::to_owned).collect(),
        seconds,
    }
}
