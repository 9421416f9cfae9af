//! Where each value of a plan comes from: `plan --origins`.

use std::fmt::{Display, Write as _};

use crate::base::{FieldPath, Name, NodeName, mask_keys};
use crate::facts::Facts;
use crate::spec::model::{Engine, LauncherKind, ModelSpec, PortChoice};
use crate::spec::resolve::{self, MergedEnv};
use crate::spec::{ClusterSpec, Document, Origin, Sourced};

use super::argv;
use super::columns::columns;
use super::family::{ParserFrom, tool_parser, wants_tools};

/// The values that decide each model, service and evaluation, each with the key, the option or the
/// default that it comes from.
pub fn origins(document: &Document, spec: &ClusterSpec, facts: &Facts) -> String {
    let mut text = String::new();
    let mut put = |title: &str, rows: Vec<Vec<String>>| {
        let _ = writeln!(text, "{title}\n{}", columns(&rows, 2));
    };
    for (name, model) in &spec.models {
        put(name.as_str(), of_model(document, spec, facts, name, model));
    }
    for (name, service) in &spec.services {
        let path = FieldPath::root().key("services").key(name.as_str());
        let mut rows = Rows {
            document,
            rows: Vec::new(),
        };
        if let Some(node) = service.node.0.first() {
            rows.put(
                "launcher",
                &resolve::service_launcher(spec, name, node),
                |l| word(*l),
            );
            rows.env(&resolve::service_env(spec, name, node));
        }
        rows.key("port", service.port.map(port), &path, "auto");
        rows.key("cwd", service.cwd.clone(), &path, "the YAML's folder");
        put(name.as_str(), rows.rows);
    }
    for (name, eval) in &spec.evals {
        let path = FieldPath::root().key("evals").key(name.as_str());
        let mut rows = Rows {
            document,
            rows: Vec::new(),
        };
        rows.put("launcher", &resolve::eval_launcher(spec, name), |l| {
            word(*l)
        });
        rows.key("concurrency", eval.concurrency, &path, "the client's own");
        rows.key("max_rounds", eval.max_rounds, &path, "the client's own");
        rows.env(&resolve::eval_env(spec, name));
        put(name.as_str(), rows.rows);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    mask_keys(&text).into_owned()
}

fn of_model(
    document: &Document,
    spec: &ClusterSpec,
    facts: &Facts,
    name: &Name,
    model: &ModelSpec,
) -> Vec<Vec<String>> {
    let path = FieldPath::root().key("models").key(name.as_str());
    let mut rows = Rows {
        document,
        rows: Vec::new(),
    };
    rows.key("model", Some(&model.model), &path, "");
    let fallback = NodeName::new("");
    let node = model.node.0.first().unwrap_or(&fallback);
    rows.put(
        "launcher",
        &resolve::model_launcher(spec, name, node),
        |l| word(*l),
    );
    match resolve::release(spec, name) {
        Some(release) => rows.put("vllm.version", &release, Clone::clone),
        None => rows.add("vllm.version", "not written", "checked against no release"),
    }
    rows.key("port", model.port.map(port), &path, "auto");
    rows.key("replicas", model.replicas, &path, "1");
    rows.key("tensor_parallel", model.tensor_parallel, &path, "1");
    let memory = model.gpu_memory_utilization;
    rows.key("gpu_memory_utilization", memory, &path, "the release's own");
    rows.key(
        "max_model_len",
        model.max_model_len,
        &path,
        "the model's own",
    );
    if wants_tools(model) {
        rows.parser(model, facts, name, &path);
    }
    if argv::engine(model) != Engine::Vllm {
        rows.key(
            "engine",
            model
                .engine
                .map(|engine| format!("{engine:?}").to_lowercase()),
            &path,
            "",
        );
    }
    rows.env(&resolve::model_env(spec, name, node));
    rows.rows
}

fn port(choice: PortChoice) -> String {
    match choice {
        PortChoice::Fixed(port) => port.to_string(),
        PortChoice::Auto => "auto".to_owned(),
    }
}

fn word(kind: LauncherKind) -> String {
    format!("{kind:?}").to_lowercase()
}

struct Rows<'a> {
    document: &'a Document,
    rows: Vec<Vec<String>>,
}

impl Rows<'_> {
    fn add(&mut self, what: &str, value: impl Display, from: impl Display) {
        self.rows
            .push(vec![what.to_owned(), value.to_string(), from.to_string()]);
    }

    fn put<T>(&mut self, what: &str, sourced: &Sourced<T>, text: fn(&T) -> String) {
        let from = match &sourced.origin {
            // The file or the command line: only the document knows.
            Origin::Yaml(path) => self.document.origin(path),
            other => Some(other.clone()),
        };
        let from = from.unwrap_or_else(|| sourced.origin.clone());
        self.add(what, text(&sourced.value), from);
    }

    fn key(&mut self, key: &str, value: Option<impl Display>, path: &FieldPath, default: &str) {
        match (value, self.document.origin(&path.key(key))) {
            (Some(value), Some(origin)) => self.add(key, value.to_string(), origin),
            (Some(value), None) => self.add(key, value.to_string(), path.key(key)),
            (None, _) => self.add(key, default, "default"),
        }
    }

    fn parser(&mut self, model: &ModelSpec, facts: &Facts, name: &Name, path: &FieldPath) {
        let Some(parser) = tool_parser(model, facts.config_of(name)) else {
            return self.add("tool_parser", "none known", "");
        };
        match parser.from {
            ParserFrom::Yaml => self.key("tool_parser", Some(parser.name), path, ""),
            ParserFrom::ModelType => {
                self.add("tool_parser", parser.name, "model_type in config.json");
            }
            ParserFrom::Family(family) => {
                self.add("tool_parser", parser.name, format!("the family {family}"));
            }
            ParserFrom::Recipe => self.add("tool_parser", parser.name, "vLLM's recipe for it"),
        }
    }

    fn env(&mut self, env: &MergedEnv) {
        if let Some(activation) = &env.activation {
            self.put("env", activation, |activation| match activation {
                resolve::Activation::Conda(conda) => format!("conda {conda}"),
                resolve::Activation::Venv(venv) => format!("venv {venv}"),
                resolve::Activation::Container(image) => format!("container {}", image.image),
            });
        }
        for line in &env.setup {
            self.put("setup", line, Clone::clone);
        }
        for name in &env.pass {
            self.put("pass", name, Clone::clone);
        }
        for (name, value) in &env.set {
            self.put(&format!("set {name}"), value, Clone::clone);
        }
    }
}
