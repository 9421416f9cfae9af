//! All tables of one evaluation, from its results and from what its client logged.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accuracy::Accuracy;
use super::coverage::Errors;
use super::gaps::Gap;
use super::most::{Groups, NAMES, others};
use super::orchestrator::{Orchestrator, Rounds};
use super::rows::{Part, Row};
use super::server_times::ServerTimes;
use super::servers::servers;
use crate::base::Timestamp;
use crate::eval::{CallTime, Expected, ORCHESTRATOR, TimedCall, Written};
use crate::knowledge::adapters;
use crate::report::clock::Clock;

/// Where calls are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// In the results.
    Results,
    /// In the client's own log of its calls (`TOOL_ORCH_LLM_LOG_PATH`).
    CallLog,
    /// In what the client wrote to standard output.
    ClientLog,
}

/// Whose results these are: it decides how a gap can be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of a run, whose plan tells what belongs to them.
    Run,
    /// Anybody's, found in a folder.
    Anybody,
}

/// What became of results after their run had ended: of what is there now not all is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    /// Results that were written later, for the first time or again; of lines of one file that is not known.
    pub later: usize,
    /// Results that are gone, as far as no later one took their place.
    pub gone: usize,
    /// What they were at the run's end is kept, and this is a report of that.
    pub kept: bool,
}

/// Calls that the client logged.
#[derive(Debug, Serialize, Deserialize)]
pub struct Logged {
    /// Where.
    pub source: Source,
    /// All of them, in the order of the log.
    pub calls: Vec<TimedCall>,
}

/// What was found of one evaluation.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Where its results are, as people know the place.
    pub place: String,
    /// Which results are waited for; none where nobody says.
    pub expected: Option<Expected>,
    /// The results.
    pub written: Vec<Written>,
    /// What its client logged, where it did.
    pub logged: Option<Logged>,
    /// The orchestrator's model, where somebody says it.
    pub orchestrator: Option<String>,
    /// What servers counted themselves, where they were sampled.
    pub server_times: Vec<ServerTimes>,
    /// Whose they are.
    pub whose: Whose,
    /// What became of them since their run ended.
    pub changed: Option<Changed>,
}

impl Found {
    /// The same in the time of a cluster so many hours of which took one where it was rehearsed: calls are as many times as long,
    /// and end as many times as far apart. What servers counted themselves is in that time already.
    #[must_use]
    pub fn at_speed(mut self, speed: Option<f64>) -> Self {
        let Some(speed) = speed else { return self };
        let ends = self.written.iter().filter_map(|one| one.at);
        let logged = self.logged.iter().flat_map(|logged| &logged.calls);
        let first = ends.chain(logged.filter_map(|call| call.at)).min();
        let from = first.unwrap_or(Timestamp(0));
        let clock = Clock { from, speed };
        let answers = self.written.iter_mut();
        let listed = answers.flat_map(|one| {
            one.at = one.at.map(|at| clock.moment(at));
            &mut one.answer.calls
        });
        let logged = self.logged.iter_mut().flat_map(|logged| &mut logged.calls);
        for call in listed.chain(logged) {
            call.at = call.at.map(|at| clock.moment(at));
            if let CallTime::Known { whole, model } = &mut call.time {
                *whole *= speed;
                *model *= speed;
            }
        }
        self
    }
}

/// One evaluation. Times are those of the cluster, also in a rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Evaluation {
    /// Its name in the YAML, or that of the folder.
    pub name: String,
    /// Where its results are.
    pub results: String,
    /// What became of its results after the run had ended, where they are others now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<Changed>,
    /// Results that were there before its run's first client: tables made of results have their calls as well, and servers' counters
    /// and the books do not.
    #[serde(skip_serializing_if = "is_zero")]
    pub earlier: usize,
    /// How the questions came out.
    pub accuracy: Accuracy,
    /// The orchestrator's rounds for each question, where results tell of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
    /// By tool: from the question to the end of all that it took.
    pub tools: Vec<Row>,
    /// By tool and model: the model's part of it.
    pub experts: Vec<Row>,
    /// The orchestrator's calls, where they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<Orchestrator>,
    /// By model and replica: each call to a server, where these are told.
    pub servers: Vec<Row>,
    /// Where they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers_source: Option<Source>,
    /// The same by the servers' own histograms, where they were sampled: by model, and by replica.
    pub server_times: Vec<ServerTimes>,
    /// What cannot be said, and why.
    pub unsaid: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The tables of what was found. Pure: the same results and logs give the same tables.
pub fn evaluation(mut found: Found) -> Evaluation {
    for one in &mut found.written {
        for call in &mut one.answer.calls {
            call.at = one.at;
        }
    }
    let Found {
        name,
        place,
        expected,
        written,
        logged,
        orchestrator,
        server_times,
        whose,
        changed,
    } = found;
    let wanted = |one: &&Written| is_wanted(one, expected.as_ref());
    let calls = || {
        let wanted = written.iter().filter(wanted);
        wanted.flat_map(|one| &one.answer.calls)
    };
    let accuracy = Accuracy::of(&written, expected.as_ref());
    let listed: Vec<&TimedCall> = calls().filter(|call| is_orchestrator(call)).collect();
    let mut gaps = Vec::new();
    let own = match &logged {
        Some(logged) => of_log(logged, orchestrator.as_deref(), calls()),
        None => Ok(None),
    };
    let own = match own {
        Ok(own) => own.or_else(|| Orchestrator::of(&listed, Source::Results)),
        Err(gap) => {
            gaps.push(gap);
            None
        }
    };
    if own.is_none() && logged.is_none() {
        gaps.push(Gap::NoLog);
    }
    if calls().next().is_none() {
        gaps.push(Gap::NoCalls);
    }
    if accuracy.questions.is_none() {
        gaps.push(Gap::NoDataset);
    }
    if !accuracy.torn.is_empty() {
        gaps.push(Gap::Torn);
    }
    let (servers_source, servers) = by_server(logged.as_ref(), calls());
    Evaluation {
        name,
        results: place,
        changed_since: changed,
        earlier: 0,
        rounds: Rounds::of(written.iter().filter(wanted)),
        tools: by_tool(calls()),
        experts: by_model(calls()),
        orchestrator: own,
        servers,
        servers_source,
        server_times,
        accuracy,
        unsaid: gaps.iter().map(|gap| gap.said(whose)).collect(),
    }
}

/// Results of questions that nobody asked for tell nothing of this evaluation.
pub(super) fn is_wanted(one: &Written, expected: Option<&Expected>) -> bool {
    expected.is_none_or(|set| set.wants(&one.id))
}

fn by_server<'a>(
    logged: Option<&Logged>,
    calls: impl Iterator<Item = &'a TimedCall>,
) -> (Option<Source>, Vec<Row>) {
    if let Some(logged) = logged.filter(|logged| !logged.calls.is_empty()) {
        return (Some(logged.source), servers(logged.calls.iter()));
    }
    let rows = servers(calls.filter(|call| call.endpoint.is_some()));
    ((!rows.is_empty()).then_some(Source::Results), rows)
}

pub(super) fn is_orchestrator(call: &TimedCall) -> bool {
    call.tool.as_deref() == Some(ORCHESTRATOR)
}

/// The orchestrator's calls in a log; or why they cannot be told from the others.
fn of_log<'a>(
    logged: &Logged,
    named: Option<&str>,
    tools: impl Iterator<Item = &'a TimedCall>,
) -> Result<Option<Orchestrator>, Gap> {
    let (model, own) = logged_to(logged, named, tools)?;
    match Orchestrator::of(&own, logged.source) {
        None => Err(Gap::NeverAsked(model)),
        own => Ok(own),
    }
}

/// The orchestrator's model and its calls in a log; or why they cannot be told from the others.
pub(super) fn logged_to<'a, 'b>(
    logged: &'b Logged,
    named: Option<&str>,
    tools: impl Iterator<Item = &'a TimedCall>,
) -> Result<(String, Vec<&'b TimedCall>), Gap> {
    let model = match named {
        Some(model) => model.to_owned(),
        None => guess(logged, tools)?,
    };
    let calls = logged.calls.iter();
    let own = calls.filter(|call| call.model.as_deref() == Some(&model));
    let own = own.collect();
    Ok((model, own))
}

/// The model that the log tells of, and that neither answers for a tool nor judges.
fn guess<'a>(logged: &Logged, tools: impl Iterator<Item = &'a TimedCall>) -> Result<String, Gap> {
    let judges = adapters::all().iter().filter_map(|adapter| adapter.judge);
    let others = tools.filter(|call| !is_orchestrator(call));
    let others: BTreeSet<&str> = others
        .filter_map(|call| call.model.as_deref())
        .chain(judges)
        .collect();
    let asked = logged.calls.iter().filter_map(|call| call.model.as_deref());
    let left: BTreeSet<&str> = asked.filter(|model| !others.contains(model)).collect();
    let mut names: Vec<String> = left.into_iter().map(str::to_owned).collect();
    match names.len() {
        1 => Ok(names.remove(0)),
        _ => Err(Gap::WhichModel(names)),
    }
}

/// The log's tools come first, in its order.
const FIRST: [&str; 3] = ["search", "answer", "enhance_reasoning"];

fn rank(tool: &str) -> usize {
    FIRST
        .iter()
        .position(|known| *known == tool)
        .unwrap_or(FIRST.len())
}

/// What a call without a name is listed under.
const NAMELESS: &str = "?";

/// Calls by tool, each with its place in the order of tools.
pub(super) fn tools<'a>(
    calls: impl Iterator<Item = &'a TimedCall>,
) -> Groups<'a, (usize, &'a str)> {
    let mut tools: Groups<'_, (usize, &str)> = BTreeMap::new();
    for call in calls.filter(|call| !is_orchestrator(call)) {
        let tool = call.tool.as_deref().unwrap_or(NAMELESS);
        tools.entry((rank(tool), tool)).or_default().push(call);
    }
    tools
}

fn by_tool<'a>(calls: impl Iterator<Item = &'a TimedCall>) -> Vec<Row> {
    let mut tools = tools(calls);
    let others = others(&mut tools, NAMES);
    let of = |calls: &[&TimedCall]| Row::with_windows(calls, Part::Whole, Errors::Counted);
    let rows = tools.into_iter().map(|((_, tool), calls)| Row {
        tool: Some(tool.to_owned()),
        ..of(&calls)
    });
    let rest = others.map(|(count, calls)| Row {
        others: Some(count),
        ..of(&calls)
    });
    rows.chain(rest).collect()
}

fn by_model<'a>(calls: impl Iterator<Item = &'a TimedCall>) -> Vec<Row> {
    let mut models: Groups<'_, (usize, &str, &str)> = BTreeMap::new();
    for call in calls.filter(|call| !is_orchestrator(call)) {
        let tool = call.tool.as_deref().unwrap_or(NAMELESS);
        let model = call.model.as_deref().unwrap_or(NAMELESS);
        let key = (rank(tool), tool, model);
        models.entry(key).or_default().push(call);
    }
    let others = others(&mut models, NAMES);
    let of = |calls: &[&TimedCall]| Row::with_windows(calls, Part::Model, Errors::Counted);
    let rows = models.into_iter().map(|((_, tool, model), calls)| Row {
        tool: Some(tool.to_owned()),
        model: Some(model.to_owned()),
        ..of(&calls)
    });
    let rest = others.map(|(count, calls)| Row {
        others: Some(count),
        ..of(&calls)
    });
    rows.chain(rest).collect()
}
