//! Which programs and models made the results of a run.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::base::plain_json;
use crate::plan::{Plan, Unit, UnitKind};
use crate::run::{Event, Record};

/// `versions.json`: format `toolorch.versions`, version 1. What nobody proved is absent.
#[derive(Serialize)]
struct Versions<'a> {
    format: &'static str,
    version: u32,
    /// The toolorch with which the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    began_with: Option<&'a str>,
    /// The toolorch that made this.
    bundled_with: &'a str,
    servers: Vec<Server<'a>>,
    /// What results depend on, by evaluation: models with engine, release and parser, the client's command, the digest of the
    /// dataset. Results of different ones are never mixed.
    evaluations: IndexMap<&'a str, &'a IndexMap<String, Value>>,
}

#[derive(Serialize)]
struct Server<'a> {
    unit: &'a str,
    /// Of which model or service of the YAML.
    of: &'a str,
    node: &'a str,
    /// The kind of GPU that the YAML says its node has, and which of them it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<&'a str>,
    gpus: Vec<u16>,
    argv: &'a [String],
    /// What it said of itself at each start at which it was asked.
    releases: Vec<Proved<'a>>,
}

#[derive(Serialize)]
struct Proved<'a> {
    /// The n-th start.
    start: u64,
    release: &'a str,
    /// UTC.
    at: String,
}

/// `versions.json`, pretty-printed; `bundled_with` is the version of this program.
pub fn versions_json(plan: &Plan, records: &[Record], bundled_with: &str) -> String {
    let began = records.iter().find_map(|record| match &record.event {
        Event::RunStarted { version, .. } => Some(version.as_str()),
        _ => None,
    });
    let servers = plan.units.iter();
    let servers = servers.filter_map(|unit| server(plan, unit, records));
    let evals = plan.evals.iter();
    let versions = Versions {
        format: "toolorch.versions",
        version: 1,
        began_with: began,
        bundled_with,
        servers: servers.collect(),
        evaluations: evals
            .map(|eval| (eval.name.as_str(), &eval.identity))
            .collect(),
    };
    // Strings, numbers and lists always have a JSON form.
    plain_json(&serde_json::to_string_pretty(&versions).unwrap_or_default()) + "\n"
}

fn server<'a>(plan: &'a Plan, unit: &'a Unit, records: &'a [Record]) -> Option<Server<'a>> {
    let of = match &unit.kind {
        UnitKind::Replica { model, .. } => model.as_str(),
        UnitKind::Service { name, .. } => name.as_str(),
        UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => return None,
    };
    let node = plan.nodes.iter().find(|node| node.name == unit.node);
    let releases = records.iter().filter_map(|record| match &record.event {
        Event::Climbed {
            unit: climbed,
            generation,
            rung,
            detail,
            ..
        } if *climbed == unit.id && rung == "release" => Some(Proved {
            start: generation.0,
            release: detail,
            at: record.at.to_string(),
        }),
        _ => None,
    });
    Some(Server {
        unit: unit.id.as_str(),
        of,
        node: unit.node.as_str(),
        gpu: node.and_then(|node| node.gpu.as_deref()),
        gpus: unit.gpus.iter().map(|gpu| gpu.0).collect(),
        argv: &unit.argv,
        releases: releases.collect(),
    })
}
