//! Evaluations: what the adapter fills in, what they need, and in which order they run.

use indexmap::IndexMap;

use crate::base::{ConfigName, EvalName, FieldPath, Millis, Name, NodeName, UnitId};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Facts;
use crate::knowledge::adapters::{self, Adapter};
use crate::spec::ClusterSpec;
use crate::spec::model::{Eval, Finished, Results};
use crate::spec::resolve;

use super::configs::DEFAULT_CONFIG;
use super::fill::Values;
use super::similar::{MaybeFix as _, did_you_mean};
use super::sites::Sites;
use super::slower::{self, Words};
use super::{
    EvalPlan, ResultsPlan, Start, Unit, UnitKind, argv, env, family, identity, inherit, paths,
    ready,
};

/// The node of everything that runs where toolorch runs.
pub const CONTROLLER: &str = "controller";

/// The limit of open files that is asked for where the YAML says nothing; the log's client needed it.
pub(crate) const OPEN_FILES: u64 = 65_536;

/// How long something may take to end after TERM: clients drop their work within 2 s, a vLLM server
/// with requests in flight waits for its clients for ever.
pub(crate) const GRACE: Millis = Millis::from_secs(10);

const STALL: Millis = Millis::from_secs(30 * 60);
const FIRST_RESULT: Millis = Millis::from_secs(10 * 60);

/// The adapter of an evaluation; none if there is no such adapter.
pub(crate) fn adapter_of(eval: &Eval) -> Option<&'static Adapter> {
    adapters::adapter(eval.adapter.as_deref().unwrap_or(adapters::GENERIC))
}

/// The node that an evaluation names, other than the controller.
pub(crate) fn node_of(eval: &Eval) -> Option<&NodeName> {
    eval.node
        .as_ref()
        .filter(|node| node.as_str() != CONTROLLER)
}

/// The paths of an evaluation: absolute wherever this machine's home directory is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EvalPaths {
    /// Where the client runs.
    pub cwd: String,
    /// The questions.
    pub dataset: Option<String>,
    /// Where the results go.
    pub results: String,
}

/// The paths of an evaluation, counted as the design says: `cwd` from the YAML's folder, the
/// others from `cwd`.
pub(crate) fn paths_of(eval: &Eval, yaml_dir: &str, home: Option<&str>) -> EvalPaths {
    let cwd = paths::absolute(eval.cwd.as_deref().unwrap_or("."), yaml_dir, home);
    let results = match &eval.results {
        Results::Dir(dir) => &dir.dir,
        Results::Jsonl(file) => file,
    };
    EvalPaths {
        dataset: (eval.dataset.as_deref()).map(|path| paths::absolute(path, &cwd, home)),
        results: paths::absolute(results, &cwd, home),
        cwd,
    }
}

/// The client configuration that an evaluation reads.
pub(crate) fn config_of(spec: &ClusterSpec, eval: &Eval) -> Option<ConfigName> {
    if let Some(name) = &eval.config {
        return Some(name.clone());
    }
    if spec.client_config.is_some() {
        return Some(ConfigName::new(DEFAULT_CONFIG));
    }
    match spec.client_configs.keys().collect::<Vec<_>>().as_slice() {
        [only] => Some((*only).clone()),
        _ => None,
    }
}

/// The model that drives the tools, or those among which nobody chose.
///
/// # Errors
/// The models that could be it, where there are several and none is called `orchestrator`.
pub(crate) fn orchestrator<'a>(
    spec: &'a ClusterSpec,
    eval: &'a Eval,
) -> Result<Option<&'a Name>, Vec<&'a Name>> {
    if let Some(name) = &eval.orchestrator {
        return Ok(Some(name).filter(|name| spec.models.contains_key(*name)));
    }
    let tools = spec
        .models
        .iter()
        .filter(|(_, model)| family::wants_tools(model));
    let able: Vec<&Name> = tools.map(|(name, _)| name).collect();
    match able.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => match several.iter().find(|name| name.as_str() == "orchestrator") {
            Some(name) => Ok(Some(name)),
            None => Err(able),
        },
    }
}

/// Models, services and externals without which an evaluation cannot run.
pub(crate) fn requires(spec: &ClusterSpec, eval: &Eval) -> Vec<Name> {
    if let Some(names) = &eval.requires {
        return names.clone();
    }
    let names = spec
        .models
        .keys()
        .chain(spec.services.keys())
        .chain(spec.externals.keys());
    let adapter = adapter_of(eval).filter(|adapter| adapter.name != adapters::GENERIC);
    let Some(adapter) = adapter else {
        return names.cloned().collect();
    };
    let driver = orchestrator(spec, eval).ok().flatten();
    let any = driver.is_none() && adapter.models.is_empty();
    let asked_for = |name: &Name| {
        let model = spec.models.get(name);
        driver == Some(name)
            || (any && model.is_some())
            || model.is_some_and(|model| adapter.models.contains(&argv::served_id(model)))
    };
    let services: Vec<&str> = (adapter.services.iter())
        .filter_map(|names| names.iter().find(|name| spec.services.contains_key(**name)))
        .copied()
        .collect();
    let judges = |name: &Name| {
        let external = spec.externals.get(name);
        external.is_some_and(|external| {
            let judge = adapter.judge;
            judge.is_some_and(|judge| external.models.iter().any(|model| model == judge))
        })
    };
    names
        .filter(|name| asked_for(name) || services.contains(&name.as_str()) || judges(name))
        .cloned()
        .collect()
}

/// Evaluations in an order in which each comes after those that it waits for.
pub(crate) fn in_order<'a>(
    spec: &'a ClusterSpec,
    report: &mut Report,
) -> Vec<(&'a EvalName, &'a Eval)> {
    let mut waiting: Vec<(&EvalName, &Eval)> = spec.evals.iter().collect();
    let mut ordered: Vec<(&EvalName, &Eval)> = Vec::with_capacity(waiting.len());
    for (name, eval) in &waiting {
        for before in eval
            .after
            .keys()
            .filter(|key| !spec.evals.contains_key(*key))
        {
            let place = Place::Key(origin_of(name).key("after").key(before.as_str()));
            let known = spec.evals.keys().map(EvalName::as_str);
            report.push(
                Diagnostic::error(Code("E0210"), format!("there is no evaluation `{before}`"))
                    .at(place.clone(), "not a key of `evals`")
                    .maybe_fix(did_you_mean(before.as_str(), known, place)),
            );
        }
    }
    while !waiting.is_empty() {
        let free = waiting.iter().position(|(_, eval)| {
            let blocked = |before: &EvalName| waiting.iter().any(|(other, _)| *other == before);
            !eval.after.keys().any(blocked)
        });
        let Some(index) = free else {
            report.push(cycle(&waiting));
            ordered.append(&mut waiting);
            break;
        };
        ordered.push(waiting.remove(index));
    }
    ordered
}

fn cycle(waiting: &[(&EvalName, &Eval)]) -> Diagnostic {
    let names: Vec<String> = waiting
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let title = match names.as_slice() {
        [one] => format!("{one} waits for itself"),
        several => format!("{} wait for each other", several.join(" and ")),
    };
    let labelled = Diagnostic::error(Code("E0513"), title);
    waiting.iter().fold(labelled, |finding, (name, _)| {
        let place = Place::Value(origin_of(name).key("after"));
        finding.at(place, format!("`{name}` waits"))
    })
}

pub(crate) fn origin_of(name: &EvalName) -> FieldPath {
    FieldPath::root().key("evals").key(name.as_str())
}

/// An evaluation and the unit that runs its client.
pub(crate) fn one(
    spec: &ClusterSpec,
    facts: &Facts,
    sites: &Sites<'_>,
    name: &EvalName,
    eval: &Eval,
    report: &mut Report,
) -> (EvalPlan, Unit) {
    let origin = origin_of(name);
    let adapter = known_adapter(eval, &origin, report);
    let home = facts.home.get().map(String::as_str);
    let at = paths_of(eval, &facts.yaml_dir, home);
    let unit = client(spec, facts, sites, name, eval, (adapter, &at), report);
    let fields = || {
        adapter
            .id_fields
            .iter()
            .map(|&field| field.to_owned())
            .collect()
    };
    let plan = EvalPlan {
        name: name.clone(),
        unit: unit.id.clone(),
        adapter: adapter.name.to_owned(),
        dataset: at.dataset.clone(),
        id_fields: eval.id_fields.clone().unwrap_or_else(fields),
        tasks: eval.tasks.clone(),
        results: results(eval, adapter, &at),
        finished: match eval.finished.clone().unwrap_or_default() {
            Finished::File(file) => Finished::File(paths::absolute(&file, &at.cwd, home)),
            rule => rule,
        },
        marker: eval
            .marker
            .clone()
            .or_else(|| adapter.marker.map(str::to_owned)),
        requires: requires(spec, eval),
        config: config_of(spec, eval),
        concurrency: eval.concurrency,
        max_rounds: eval.max_rounds,
        after: known_after(spec, eval),
        retry_errors: eval.retry_errors.unwrap_or_default(),
        on_move: eval.on_move.unwrap_or_default(),
        stall: limit(eval, |limits| limits.stall).unwrap_or(STALL),
        first_result: limit(eval, |limits| limits.first_result).unwrap_or(FIRST_RESULT),
        egress: None,
        call_log: call_log(&unit, &at.cwd, home),
        identity: identity::of(spec, facts, name, eval),
        origin,
    };
    (plan, unit)
}

/// The variable that names a client's call log.
const CALL_LOG: &str = "TOOL_ORCH_LLM_LOG_PATH";

/// A client that can write its calls down does so beside its results, unless it is told another place.
fn add_call_log(adapter: &Adapter, at: &EvalPaths, env: &mut super::UnitEnv) {
    let told = env.set.contains_key(CALL_LOG) || env.pass.iter().any(|name| name == CALL_LOG);
    if adapter.logs_calls && !told {
        let path = format!("{}/.toolorch/calls.jsonl", at.results);
        env.set.insert(CALL_LOG.to_owned(), path);
    }
}

fn call_log(client: &Unit, cwd: &str, home: Option<&str>) -> Option<String> {
    let path = client.env.set.get(CALL_LOG)?;
    Some(paths::absolute(path, cwd, home))
}

fn known_after(
    spec: &ClusterSpec,
    eval: &Eval,
) -> IndexMap<EvalName, crate::spec::model::AfterState> {
    let known = eval
        .after
        .iter()
        .filter(|(name, _)| spec.evals.contains_key(*name));
    known.map(|(name, state)| (name.clone(), *state)).collect()
}

fn limit(
    eval: &Eval,
    pick: fn(&crate::spec::model::Limits) -> Option<crate::spec::model::Duration>,
) -> Option<Millis> {
    eval.limits.as_ref().and_then(pick).map(|length| length.0)
}

fn known_adapter(eval: &Eval, origin: &FieldPath, report: &mut Report) -> &'static Adapter {
    let generic = &adapters::all()[0];
    let Some(adapter) = adapter_of(eval) else {
        let given = eval.adapter.as_deref().unwrap_or_default();
        let place = Place::Value(origin.key("adapter"));
        let known = adapters::all().iter().map(|adapter| adapter.name);
        report.push(
            Diagnostic::error(Code("E0511"), format!("there is no adapter `{given}`"))
                .at(place.clone(), "not a known client")
                .maybe_fix(did_you_mean(given, known, place))
                .help("any other client: leave `adapter` out and write its `command`"),
        );
        return generic;
    };
    adapter
}

fn results(eval: &Eval, adapter: &Adapter, at: &EvalPaths) -> ResultsPlan {
    match &eval.results {
        Results::Jsonl(_) => ResultsPlan::Jsonl {
            file: at.results.clone(),
        },
        Results::Dir(dir) => ResultsPlan::Dir {
            dir: at.results.clone(),
            pattern: dir
                .pattern
                .clone()
                .unwrap_or_else(|| adapter.pattern.to_owned()),
            valid: dir
                .valid
                .clone()
                .unwrap_or_else(|| adapter.valid.iter().map(|&key| key.to_owned()).collect()),
        },
    }
}

/// The unit that runs the client.
fn client(
    spec: &ClusterSpec,
    facts: &Facts,
    sites: &Sites<'_>,
    name: &EvalName,
    eval: &Eval,
    (adapter, at): (&'static Adapter, &EvalPaths),
    report: &mut Report,
) -> Unit {
    let origin = origin_of(name);
    let site = node_of(eval).and_then(|node| {
        let found = sites.find(node);
        if found.is_none() {
            report.push(sites.unknown(node, origin.key("node")));
        }
        found
    });
    let words = |eval: &Eval, report: &mut Report| {
        let values = values(spec, facts, name, eval, at);
        let argv = client_argv(spec, eval, adapter, &values, &origin, report);
        let mut env = inherit::unit_env(resolve::eval_env(spec, name));
        env::fill_set(&mut env, &values, &origin, Some(report));
        add_call_log(adapter, at, &mut env);
        Words { argv, env }
    };
    let first = words(eval, report);
    // What is wrong with the words was said of the first.
    let again = |eval: &Eval| words(eval, &mut Report::default());
    let slower = slower::steps(eval, &first, &origin, again, report);
    let Words { argv, env } = first;
    Unit {
        id: UnitId::eval(name),
        kind: UnitKind::Eval { name: name.clone() },
        node: site.map_or_else(|| NodeName::new(CONTROLLER), |site| site.name.clone()),
        address: site.map_or_else(|| "localhost".to_owned(), |site| site.address.clone()),
        launcher: resolve::eval_launcher(spec, name).value,
        gpus: Vec::new(),
        gpu_share: None,
        stage: None,
        port: None,
        more_ports: Vec::new(),
        through: None,
        port_auto: false,
        argv,
        env,
        slower,
        cwd: Some(at.cwd.clone()),
        cache_dir: None,
        open_files: (eval.limits.as_ref())
            .and_then(|limits| limits.open_files)
            .unwrap_or(OPEN_FILES),
        grace: GRACE,
        start: Start::default(),
        ready: ready::of_eval(),
        restart: ready::restart_of_client(eval.restart.as_ref()),
        results_dir: Some(at.results.clone()),
        origin,
    }
}

fn values(
    spec: &ClusterSpec,
    facts: &Facts,
    name: &EvalName,
    eval: &Eval,
    at: &EvalPaths,
) -> Values {
    let config = config_of(spec, eval).and_then(|wanted| {
        let all = super::configs::all(spec, facts);
        all.into_iter()
            .find(|config| config.name == wanted)
            .map(|config| config.path)
    });
    let driver = orchestrator(spec, eval).ok().flatten();
    let driver = driver.and_then(|name| spec.models.get(name));
    Values::default()
        .with("name", name.as_str())
        .with("results", at.results.as_str())
        .maybe("dataset", at.dataset.as_deref())
        .maybe("config", config)
        .maybe(
            "concurrency",
            eval.concurrency.map(|number| number.to_string()),
        )
        .maybe(
            "max_rounds",
            eval.max_rounds.map(|number| number.to_string()),
        )
        .maybe("orchestrator", driver.map(argv::served_id))
        .with("toolorch", facts.exe.as_str())
}

fn client_argv(
    spec: &ClusterSpec,
    eval: &Eval,
    adapter: &Adapter,
    values: &Values,
    origin: &FieldPath,
    report: &mut Report,
) -> Vec<String> {
    if let Some(command) = &eval.command {
        return env::fill_command(command, values, origin, Some(report));
    }
    if adapter.command.is_empty() {
        if adapter_of(eval).is_none() {
            return Vec::new();
        }
        report.push(
            Diagnostic::error(
                Code("E0512"),
                "the evaluation has neither `command` nor `adapter`",
            )
            .at(Place::Key(origin.clone()), "what is the client?")
            .help("write its `command`, or name a known client: `adapter: toolorchestra-hle`"),
        );
        return Vec::new();
    }
    let needs = |what: &str| adapter.command.iter().any(|word| word.contains(what));
    // Where there is one model alone, a client that may be told which it asks need not be.
    let asks_one = |(name, _): &(&str, _)| *name == "orchestrator";
    let many = spec.models.len() > 1 && adapter.optional.iter().any(asks_one);
    let unsaid = values.get("orchestrator").is_none();
    if unsaid && (needs("{orchestrator}") || eval.orchestrator.is_some()) {
        report.push(no_orchestrator(spec, eval, origin));
    } else if unsaid && many {
        report.push(
            Diagnostic::error(
                Code("E0514"),
                format!("it is not said which model `{}` asks", adapter.name),
            )
            .at(Place::Key(origin.clone()), "there are several")
            .help("add `orchestrator: NAME`"),
        );
    }
    for (key, placeholder) in [("dataset", "{dataset}"), ("client_config", "{config}")] {
        if needs(placeholder) && values.get(placeholder.trim_matches(['{', '}'])).is_none() {
            report.push(
                Diagnostic::error(
                    Code("E0516"),
                    format!("`{}` needs `{key}`, and there is none", adapter.name),
                )
                .at(
                    Place::Value(origin.key("adapter")),
                    "this client cannot run without",
                ),
            );
        }
    }
    let optional = adapter.optional.iter();
    let given = optional.filter(|(name, _)| values.get(name).is_some());
    let words = adapter
        .command
        .iter()
        .chain(given.flat_map(|(_, words)| words.iter()));
    let mut words: Vec<String> = words.map(|&word| word.to_owned()).collect();
    if let Some((field, id)) = adapter.each {
        let fields = eval.id_fields.iter().flatten().map(|value| (field, value));
        let ids = eval.tasks.iter().flatten().map(|value| (id, value));
        // Braces of an id are no placeholder.
        words.extend(
            fields
                .chain(ids)
                .flat_map(|(option, value)| [option.to_owned(), value.replace('{', "{{")]),
        );
    }
    env::fill_command(&words, values, origin, None)
}

fn no_orchestrator(spec: &ClusterSpec, eval: &Eval, origin: &FieldPath) -> Diagnostic {
    let finding = |title: &str| Diagnostic::error(Code("E0514"), title);
    if let Some(name) = &eval.orchestrator {
        let place = Place::Value(origin.key("orchestrator"));
        let known = spec.models.keys().map(Name::as_str);
        return Diagnostic::error(Code("E0210"), format!("there is no model `{name}`"))
            .at(place.clone(), "not a key of `models`")
            .maybe_fix(did_you_mean(name.as_str(), known, place));
    }
    match orchestrator(spec, eval) {
        Err(able) => {
            let names: Vec<String> = able.iter().map(|name| format!("`{name}`")).collect();
            finding("it is not said which model drives the tools")
                .at(
                    Place::Key(origin.clone()),
                    format!("{} all have `tools: true`", names.join(", ")),
                )
                .help("add `orchestrator: NAME`, or call that model `orchestrator`")
        }
        Ok(_) => finding("no model drives the tools")
            .at(Place::Key(origin.clone()), "its client calls tools")
            .help("add `tools: true` to the model that does"),
    }
}
