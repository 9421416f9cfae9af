//! The evidence of one evaluation of a run.

use std::collections::BTreeSet;

use super::classes::classes;
use super::incidents::{absent, beside, incidents};
use super::tasks::{Ends, tasks};
use crate::base::bounds::LONGEST_RUN;
use crate::base::{NodeName, Timestamp};
use crate::facts::samples::Samples;
use crate::plan::{EvalPlan, Plan, UnitKind};
use crate::report::clock::Clock;
use crate::report::tables::{Evaluation, Row};
use crate::report::verdict::{Calls, Class, Client, Evidence, FailedCalls, Node, Step};
use crate::run::{Event, Record, RunState};

/// What is kept of a run, for one of its evaluations.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// The evaluation.
    pub eval: &'a EvalPlan,
    /// What happened.
    pub records: &'a [Record],
    /// What that adds up to.
    pub state: &'a RunState,
    /// What was sampled.
    pub samples: &'a Samples,
    /// When its results were written.
    pub ends: Ends<'a>,
    /// The ids of its questions, in the dataset's order; none where that is not known.
    pub order: &'a [String],
    /// Its tables, where they are made: the client's own times.
    pub tables: Option<&'a Evaluation>,
}

/// What is known of this evaluation; none before its client has started.
pub fn evidence(known: &Known<'_>) -> Option<Evidence> {
    let (from, until) = known.span()?;
    let clock = known.clock(from);
    let classes = classes(known, clock, until);
    // GPUs of what this evaluation does not need are nobody's to give.
    let kept = |node: &str| -> usize {
        let others = known.plan.shares.of.iter();
        let others = others.filter(|(name, share)| {
            let is_class = classes.iter().any(|class| class.name == name.as_str());
            !is_class && share.nodes.iter().any(|own| own.as_str() == node)
        });
        let gpus = others.map(|(name, share)| {
            let all = share.gpus * known.servers(name.as_str()).max(1);
            all.div_ceil(share.nodes.len().max(1))
        });
        gpus.sum()
    };
    let nodes = known.plan.shares.nodes.iter();
    let nodes = nodes.map(|(name, gpus)| Node {
        name: name.to_string(),
        gpus: gpus.saturating_sub(kept(name.as_str())),
        numbers: known.numbers(name, &classes),
        pool: known.plan.shares.pools.get(name).copied().unwrap_or(0),
        ports: known.other_ports(name, &classes),
    });
    Some(Evidence {
        began: clock.moment(from),
        until: clock.moment(until),
        client: client(known, clock, (from, until)),
        nodes: nodes.collect(),
        incidents: incidents(known, clock, (from, until)),
        beside: beside(known, clock, (from, until)),
        classes,
    })
}

impl Known<'_> {
    pub(super) fn clock(&self, from: Timestamp) -> Clock {
        let speed = self.plan.shares.speed.unwrap_or(1.0);
        Clock { from, speed }
    }

    /// Questions that its client has under way at once.
    pub(super) fn workers(&self) -> Option<usize> {
        let state = self.state.evals.get(&self.eval.name);
        let slowed = state.and_then(|state| state.slowed);
        let concurrency = slowed.map(|slowed| slowed.concurrency);
        let concurrency = concurrency.or(self.eval.concurrency);
        concurrency.map(|count| count as usize)
    }

    /// Servers of a model or service.
    pub(super) fn servers(&self, name: &str) -> usize {
        let groups = self.plan.groups.iter();
        let group = groups.clone().find(|group| group.name.as_str() == name);
        group.map_or(0, |group| group.endpoints.len())
    }

    /// The GPUs of this node that nothing but the classes has written out.
    fn numbers(&self, node: &NodeName, classes: &[Class]) -> Vec<u16> {
        let shares = &self.plan.shares;
        let is_class = |name: &str| classes.iter().any(|class| class.name == name);
        let others = shares.of.iter();
        let others =
            others.filter(|(name, share)| !is_class(name.as_str()) && share.nodes.contains(node));
        let taken: BTreeSet<_> = others
            .flat_map(|(_, share)| share.groups.iter().flatten())
            .collect();
        let all = shares.gpus.get(node).into_iter().flatten();
        all.filter(|gpu| !taken.contains(gpu))
            .map(|gpu| gpu.0)
            .collect()
    }

    /// Ports of this node that no class has.
    fn other_ports(&self, node: &NodeName, classes: &[Class]) -> Vec<u16> {
        let units = self.plan.units.iter().filter(|unit| unit.node == *node);
        let others = units.filter(|unit| {
            let name = match &unit.kind {
                UnitKind::Replica { model: name, .. } | UnitKind::Service { name } => name.as_str(),
                UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => "",
            };
            classes.iter().all(|class| class.name != name)
        });
        others.filter_map(|unit| Some(unit.port?.0)).collect()
    }

    /// From the first start of its client to its end, or to what is known last.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span_of(self.eval)
    }

    /// The same of any evaluation.
    pub(super) fn span_of(&self, of_eval: &EvalPlan) -> Option<(Timestamp, Timestamp)> {
        let unit = &of_eval.unit;
        let mut from = None;
        let mut over = None;
        for record in self.records {
            match &record.event {
                Event::Started { unit: of, .. } if of == unit => {
                    from.get_or_insert(record.at);
                    over = None;
                }
                Event::EvalEnded { eval, .. } if *eval == of_eval.name => {
                    over.get_or_insert(record.at);
                }
                Event::Exited { unit: of, .. } | Event::Stopped { unit: of, .. } if of == unit => {
                    over.get_or_insert(record.at);
                }
                _ => {}
            }
        }
        let from = from?;
        let last = self.records.last().map(|record| record.at);
        let sampled = self.samples.span().map(|(_, last)| last);
        let until = over.or(last.max(sampled))?;
        // What is reckoned with is as long as that: a clock that is years off must not fill the memory.
        let until = until.min(from + LONGEST_RUN);
        (until > from).then_some((from, until))
    }
}

fn client(known: &Known<'_>, clock: Clock, span: (Timestamp, Timestamp)) -> Client {
    let state = known.state.evals.get(&known.eval.name);
    let accuracy = known.tables.map(|tables| &tables.accuracy);
    let total = state.map(|state| state.total).filter(|total| *total > 0);
    let done = accuracy.map(|found| found.done);
    Client {
        concurrency: known.workers(),
        total: total.or(accuracy.and_then(|found| found.questions)),
        done: done.or(state.map(|state| state.done)).unwrap_or(0),
        tasks: tasks(known, clock, span),
        steps: known.tables.map(steps).unwrap_or_default(),
        errors: accuracy
            .map(|found| found.errors)
            .or(state.map(|state| state.errors)),
        failed_calls: known.tables.and_then(failed_calls),
        absent: absent(known, clock),
        gone: !known.state.unit(&known.eval.unit).phase.may_live(),
    }
}

/// Of the calls to servers that are told one by one.
pub(super) fn failed_calls(tables: &Evaluation) -> Option<FailedCalls> {
    let models = tables.servers.iter().filter(|row| row.replica.is_none());
    let rows: Vec<_> = models.map(|row| row.coverage).collect();
    let calls = rows.iter().map(|row| row.calls).sum();
    let failed = rows.iter().map(|row| row.failed).sum();
    (calls > 0).then_some(FailedCalls { failed, calls })
}

fn steps(tables: &Evaluation) -> Vec<Step> {
    let own = tables.orchestrator.iter();
    let own = own.map(|own| ("orchestrator".to_owned(), &own.row));
    let tools = tables.tools.iter();
    let tools = tools.filter_map(|row| Some((row.tool.clone()?, row)));
    let all = own.chain(tools);
    all.filter_map(|(name, row)| {
        let calls = calls_of(row)?;
        Some(Step { name, calls })
    })
    .collect()
}

/// As the client saw them; tables have the cluster's time.
pub(super) fn calls_of(row: &Row) -> Option<Calls> {
    let times = row.seconds.as_ref()?;
    Some(Calls {
        count: times.count,
        mean: times.mean,
    })
}
