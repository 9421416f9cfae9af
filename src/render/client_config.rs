//! The text from which an evaluation's client learns where its models are.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};
use tera::{Context, Tera};

use crate::base::{RunId, UnitId, bracketed};
use crate::plan::{ClientConfigPlan, Endpoint, Group, Plan, UnitKind, variable};
use crate::spec::model::ClientConfigFormat;

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientConfigError {
    /// A client would fail at each of its questions, and most of them silently.
    #[error("no endpoint is ready for {groups}: the client configuration `{path}` is not written")]
    NoEndpoint {
        /// The models and services, with backticks.
        groups: String,
        /// The file.
        path: String,
    },
    /// Two names make the same variable.
    #[error(
        "`{first}` and `{second}` would both be `{variable}` in `{path}`: rename one, or use another `format`"
    )]
    SameVariable {
        /// One name.
        first: String,
        /// The other.
        second: String,
        /// The variable.
        variable: String,
        /// The file.
        path: String,
    },
    /// The user's template does not work.
    #[error("the template `{template}` cannot be filled in: {why}")]
    Template {
        /// Its path.
        template: String,
        /// The template engine's words.
        why: String,
    },
    /// A format whose behaviour comes later.
    #[error(
        "`format: {format}` of `{path}` is not written by this version: use `toolorchestra`, `openai-env` or `template`"
    )]
    Later {
        /// The format's word.
        format: &'static str,
        /// The file.
        path: String,
    },
}

/// The text of one client configuration, naming only endpoints of `ready` units.
///
/// `template` is the text of the user's template, needed with `format: template`.
///
/// # Errors
/// A group without any ready endpoint, or what the format cannot say.
pub fn client_config(
    plan: &Plan,
    config: &ClientConfigPlan,
    run: &RunId,
    ready: &BTreeSet<UnitId>,
    template: Option<&str>,
) -> Result<String, ClientConfigError> {
    let groups = ready_groups(plan, ready);
    let empty: Vec<String> = groups
        .iter()
        .filter(|group| group.endpoints.is_empty())
        .map(|group| format!("`{}`", group.name))
        .collect();
    if !empty.is_empty() {
        return Err(ClientConfigError::NoEndpoint {
            groups: empty.join(", "),
            path: config.path.clone(),
        });
    }
    match config.format {
        ClientConfigFormat::Toolorchestra => Ok(toolorchestra(config, run, &groups)),
        ClientConfigFormat::OpenaiEnv => openai_env(plan, config, run, &groups),
        ClientConfigFormat::Template => {
            from_template(plan, config, run, &groups, template.unwrap_or_default())
        }
        ClientConfigFormat::Litellm => Err(ClientConfigError::Later {
            format: "litellm",
            path: config.path.clone(),
        }),
    }
}

/// The first words of every file of ours that can hold a comment; tells ours from a foreign one.
pub const WRITTEN_BY: &str = "written by toolorch for run ";

/// How many endpoints of `ready` units a configuration names.
pub fn count_endpoints(plan: &Plan, ready: &BTreeSet<UnitId>) -> usize {
    let groups = ready_groups(plan, ready);
    groups.iter().map(|group| group.endpoints.len()).sum()
}

/// A model or service with those of its endpoints that are ready.
#[derive(Debug, Serialize)]
struct ReadyGroup<'a> {
    name: &'a str,
    key: &'a str,
    /// A service has no `/v1`.
    is_model: bool,
    endpoints: Vec<ReadyEndpoint>,
}

#[derive(Debug, Serialize)]
struct ReadyEndpoint {
    host: String,
    port: u16,
    url: String,
}

fn ready_groups<'a>(plan: &'a Plan, ready: &BTreeSet<UnitId>) -> Vec<ReadyGroup<'a>> {
    let group = |group: &'a Group| {
        let is_model = group.endpoints.iter().any(|endpoint| {
            let unit = plan.unit(&endpoint.unit);
            unit.is_some_and(|unit| matches!(unit.kind, UnitKind::Replica { .. }))
        });
        let endpoints = group.endpoints.iter();
        let endpoints = endpoints.filter(|endpoint| ready.contains(&endpoint.unit));
        ReadyGroup {
            name: group.name.as_str(),
            key: &group.key,
            is_model,
            endpoints: endpoints
                .map(|endpoint| shown(endpoint, is_model))
                .collect(),
        }
    };
    plan.groups.iter().map(group).collect()
}

/// Clients write `http://{ip_addr}:{port}`: an IPv6 address needs its brackets before that.
fn shown(endpoint: &Endpoint, is_model: bool) -> ReadyEndpoint {
    let host = bracketed(&endpoint.host);
    let path = if is_model { "/v1" } else { "" };
    ReadyEndpoint {
        url: format!("http://{host}:{}{path}", endpoint.port),
        host,
        port: endpoint.port.0,
    }
}

fn toolorchestra(config: &ClientConfigPlan, run: &RunId, groups: &[ReadyGroup<'_>]) -> String {
    let mut entries: IndexMap<&str, Value> = IndexMap::new();
    entries.insert("_comment", format!("{WRITTEN_BY}{run}").into());
    entries.insert("vllm_model_config_path", config.path.as_str().into());
    for group in groups {
        let endpoints = group.endpoints.iter();
        let endpoints = endpoints.map(|e| json!({ "ip_addr": e.host, "port": e.port }));
        entries.insert(group.key, endpoints.collect());
    }
    for (key, value) in &config.extra {
        entries.insert(key, value.clone());
    }
    let lines: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("    {}: {}", json!(key), entry(value)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// A value as people write it in such files: one endpoint per line, a single one beside its key.
fn entry(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() > 1 => {
            let lines: Vec<String> = items
                .iter()
                .map(|item| format!("        {}", one_line(item)))
                .collect();
            format!("[\n{}\n    ]", lines.join(",\n"))
        }
        Value::Object(map) if !map.is_empty() => {
            let lines: Vec<String> = map
                .iter()
                .map(|(key, item)| format!("        {}: {}", json!(key), one_line(item)))
                .collect();
            format!("{{\n{}\n    }}", lines.join(",\n"))
        }
        other => one_line(other),
    }
}

/// JSON on one line, with a space after each comma and colon.
fn one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let items = map.iter();
            let items = items.map(|(key, value)| format!("{}: {}", json!(key), one_line(value)));
            format!("{{{}}}", items.collect::<Vec<String>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn openai_env(
    plan: &Plan,
    config: &ClientConfigPlan,
    run: &RunId,
    groups: &[ReadyGroup<'_>],
) -> Result<String, ClientConfigError> {
    let mut lines = vec![format!("# {WRITTEN_BY}{run}")];
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let mut add = |name, urls: &[&str], model: Option<&str>| -> Result<(), ClientConfigError> {
        let prefix = variable(name);
        if let Some(first) = taken.insert(prefix.clone(), name) {
            return Err(ClientConfigError::SameVariable {
                first: first.to_owned(),
                second: name.to_owned(),
                variable: format!("{prefix}_BASE_URL"),
                path: config.path.clone(),
            });
        }
        let first = urls.first().copied().unwrap_or_default();
        lines.push(setting(&format!("{prefix}_BASE_URL"), first));
        lines.push(setting(&format!("{prefix}_BASE_URLS"), &urls.join(",")));
        if let Some(model) = model {
            lines.push(setting(&format!("{prefix}_MODEL"), model));
        }
        Ok(())
    };
    for group in groups {
        let urls: Vec<&str> = group.endpoints.iter().map(|e| e.url.as_str()).collect();
        add(group.name, &urls, group.is_model.then_some(group.key))?;
    }
    for external in &plan.externals {
        let model = match &external.models[..] {
            [model] => Some(model.as_str()),
            _ => None,
        };
        add(external.name.as_str(), &[&external.url], model)?;
    }
    for (key, value) in &config.extra {
        let text = value
            .as_str()
            .map_or_else(|| one_line(value), str::to_owned);
        lines.push(setting(key, &text));
    }
    Ok(lines.join("\n") + "\n")
}

/// `NAME=value`, quoted where a shell that sources the file would read it as something else.
fn setting(name: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+=[]".contains(c);
    if value.chars().all(plain) {
        return format!("{name}={value}");
    }
    format!("{name}='{}'", value.replace('\'', r"'\''"))
}

fn from_template(
    plan: &Plan,
    config: &ClientConfigPlan,
    run: &RunId,
    groups: &[ReadyGroup<'_>],
    template: &str,
) -> Result<String, ClientConfigError> {
    let values = json!({
        "run": run.as_str(),
        "path": config.path,
        "groups": groups,
        "externals": plan.externals,
        "extra": config.extra,
    });
    Context::from_serialize(&values)
        .and_then(|context| Tera::default().render_str(template, &context, false))
        .map_err(|error| ClientConfigError::Template {
            template: config.template.clone().unwrap_or_default(),
            why: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan_tests::clean;

    const HLE: &str = include_str!("../../clusters/hle-oss.yaml");
    const QUICKSTART: &str = include_str!("../../clusters/quickstart.yaml");

    fn all_ready(plan: &Plan) -> BTreeSet<UnitId> {
        plan.servers().map(|unit| unit.id.clone()).collect()
    }

    fn text(plan: &Plan, ready: &BTreeSet<UnitId>) -> Result<String, ClientConfigError> {
        let run = RunId::new("hle-oss-1-3f2a");
        client_config(
            plan,
            &plan.configs[0],
            &run,
            ready,
            Some("{{ groups[0].key }} {{ extra.a }}"),
        )
    }

    fn with_format(yaml: &str, format: ClientConfigFormat) -> Plan {
        let mut plan = clean(yaml);
        plan.configs[0].format = format;
        plan
    }

    #[test]
    fn the_log_s_cluster_gives_the_log_s_endpoint_map() {
        let plan = clean(HLE);
        let text = text(&plan, &all_ready(&plan)).unwrap();
        let mut seen: Value = serde_json::from_str(&text).unwrap();
        let map = seen.as_object_mut().unwrap();
        assert_eq!(
            map.remove("_comment").unwrap(),
            "written by toolorch for run hle-oss-1-3f2a"
        );
        assert_eq!(
            map.remove("vllm_model_config_path").unwrap(),
            "/home/user/ToolOrchestra/evaluation/model_config_oss_new.json"
        );
        let at = |host: &str, ports: std::ops::RangeInclusive<u16>| -> Value {
            ports
                .map(|port| json!({ "ip_addr": host, "port": port }))
                .collect()
        };
        // The log's section 6, elided ports written out, the checkpoint where this YAML has it.
        let expected = json!({
            "/ckpt/nvidia/Nemotron-Orchestrator-8B/": at("research-secure-05", 1800..=1803),
            "openai/gpt-oss-20b": at("172.27.31.10", 1840..=1843),
            "Qwen/Qwen2.5-Coder-14B-Instruct": at("research-secure-11", 1810..=1817),
            "Qwen/Qwen3-32B-FP8": at("research-secure-12", 1820..=1827),
            "retrieval": at("research-secure-13", 8765..=8765),
            "wiki_retrieval": at("research-secure-13", 8766..=8766),
        });
        assert_eq!(seen, expected);
    }

    #[test]
    fn only_ready_endpoints_are_named_and_it_reads_like_the_log_s() {
        let mut plan = clean(QUICKSTART);
        let extra = &mut plan.configs[0].extra;
        extra.insert("judge".to_owned(), json!([]));
        extra.insert(
            "oss_expert_mapping".to_owned(),
            json!({ "expert-1": "openai/gpt-oss-20b", "expert-2": "Qwen/Qwen3-32B-FP8" }),
        );
        let mut ready = all_ready(&plan);
        ready.remove("orchestrator-0");
        insta::assert_snapshot!(text(&plan, &ready).unwrap(), @r#"
        {
            "_comment": "written by toolorch for run hle-oss-1-3f2a",
            "vllm_model_config_path": "/site/clusters/quickstart/out/model_config.json",
            "nvidia/Nemotron-Orchestrator-8B": [{"ip_addr": "127.0.0.1", "port": 18101}],
            "Qwen/Qwen3-32B-FP8": [
                {"ip_addr": "127.0.0.1", "port": 18110},
                {"ip_addr": "127.0.0.1", "port": 18111}
            ],
            "retrieval": [{"ip_addr": "127.0.0.1", "port": 18120}],
            "judge": [],
            "oss_expert_mapping": {
                "expert-1": "openai/gpt-oss-20b",
                "expert-2": "Qwen/Qwen3-32B-FP8"
            }
        }
        "#);
        assert_eq!(count_endpoints(&plan, &ready), 5);
    }

    #[test]
    fn a_group_without_an_endpoint_is_an_error() {
        let plan = clean(QUICKSTART);
        let mut ready = all_ready(&plan);
        for unit in ["expert-0", "expert-1", "retrieval"] {
            ready.remove(unit);
        }
        insta::assert_snapshot!(text(&plan, &ready).unwrap_err(), @"no endpoint is ready for `expert`, `retrieval`: the client configuration `/site/clusters/quickstart/out/model_config.json` is not written");
    }

    #[test]
    fn the_addresses_of_openai_clients() {
        let mut plan = with_format(HLE, ClientConfigFormat::OpenaiEnv);
        for group in &mut plan.groups {
            group.endpoints.truncate(2);
        }
        plan.groups[3].endpoints[0].host = "fd00::1".to_owned();
        plan.configs[0]
            .extra
            .insert("NOTE".to_owned(), json!("it's $HOME"));
        insta::assert_snapshot!(text(&plan, &all_ready(&plan)).unwrap(), @r"
        # written by toolorch for run hle-oss-1-3f2a
        ORCHESTRATOR_BASE_URL=http://research-secure-05:1800/v1
        ORCHESTRATOR_BASE_URLS=http://research-secure-05:1800/v1,http://research-secure-05:1801/v1
        ORCHESTRATOR_MODEL=/ckpt/nvidia/Nemotron-Orchestrator-8B/
        CODER_BASE_URL=http://research-secure-11:1810/v1
        CODER_BASE_URLS=http://research-secure-11:1810/v1,http://research-secure-11:1811/v1
        CODER_MODEL=Qwen/Qwen2.5-Coder-14B-Instruct
        ANSWER_BASE_URL=http://research-secure-12:1820/v1
        ANSWER_BASE_URLS=http://research-secure-12:1820/v1,http://research-secure-12:1821/v1
        ANSWER_MODEL=Qwen/Qwen3-32B-FP8
        SEARCH_BASE_URL=http://[fd00::1]:1840/v1
        SEARCH_BASE_URLS=http://[fd00::1]:1840/v1,http://172.27.31.10:1841/v1
        SEARCH_MODEL=openai/gpt-oss-20b
        RETRIEVAL_BASE_URL=http://research-secure-13:8765
        RETRIEVAL_BASE_URLS=http://research-secure-13:8765
        WIKI_RETRIEVAL_BASE_URL=http://research-secure-13:8766
        WIKI_RETRIEVAL_BASE_URLS=http://research-secure-13:8766
        JUDGE_BASE_URL=https://api.openai.com/v1
        JUDGE_BASE_URLS=https://api.openai.com/v1
        JUDGE_MODEL=gpt-5
        NOTE='it'\''s $HOME'
        ");
    }

    #[test]
    fn two_names_never_share_a_variable() {
        let mut plan = with_format(QUICKSTART, ClientConfigFormat::OpenaiEnv);
        plan.groups[0].name = "a-b".into();
        plan.groups[1].name = "a_b".into();
        insta::assert_snapshot!(text(&plan, &all_ready(&plan)).unwrap_err(), @"`a-b` and `a_b` would both be `A_B_BASE_URL` in `/site/clusters/quickstart/out/model_config.json`: rename one, or use another `format`");
    }

    #[test]
    fn a_template_sees_groups_and_says_what_it_misses() {
        let mut plan = with_format(QUICKSTART, ClientConfigFormat::Template);
        plan.configs[0].template = Some("/t/mine.tera".to_owned());
        let error = text(&plan, &all_ready(&plan)).unwrap_err().to_string();
        assert!(
            error.starts_with("the template `/t/mine.tera` cannot be filled in: "),
            "{error}"
        );
        plan.configs[0].extra.insert("a".to_owned(), json!("<b>"));
        let text = text(&plan, &all_ready(&plan)).unwrap();
        assert_eq!(text, "nvidia/Nemotron-Orchestrator-8B <b>");
    }

    #[test]
    fn a_later_format_is_refused() {
        let plan = with_format(QUICKSTART, ClientConfigFormat::Litellm);
        insta::assert_snapshot!(text(&plan, &all_ready(&plan)).unwrap_err(), @"`format: litellm` of `/site/clusters/quickstart/out/model_config.json` is not written by this version: use `toolorchestra`, `openai-env` or `template`");
    }

    #[test]
    fn values_survive_a_shell() {
        assert_eq!(setting("A", "http://[::1]:1/v1"), "A=http://[::1]:1/v1");
        let seen = shlex::split(&setting("A", "a'b $(c) \"d\" \\ é")).unwrap();
        assert_eq!(seen, ["A=a'b $(c) \"d\" \\ é"]);
    }
}
