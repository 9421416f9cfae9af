//! What proves that a server is ready, as data; the ladder itself is climbed by `supervise`.

use crate::base::{Millis, Name};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{ClientRestart, Duration, Engine, ModelSpec, Restart, Service};

use super::family::tool_parser;
use super::{ReadyRule, RestartRule, Rung, WarmupRequest, argv, family, inherit};

/// How long a server may take until it is ready, where the YAML says nothing: weights of hundreds of
/// GB over a network take that long.
const TIMEOUT: Millis = Millis::from_secs(30 * 60);

/// The rungs of a model's servers.
pub(crate) fn of_model(
    spec: &ClusterSpec,
    facts: &Facts,
    name: &Name,
    model: &ModelSpec,
) -> ReadyRule {
    let id = argv::served_id(model).to_owned();
    let engine = argv::engine(model);
    let mut rungs = vec![Rung::Listening];
    if engine != Engine::Command {
        rungs.push(Rung::Health {
            path: "/health".to_owned(),
        });
    }
    rungs.push(Rung::Models {
        id: id.clone(),
        context: needed_context(spec, name),
    });
    let release = inherit::release(spec, name);
    if let Some(release) = release.filter(|_| matches!(engine, Engine::Vllm | Engine::Sim)) {
        rungs.push(Rung::Release {
            version: release.to_string(),
        });
    }
    rungs.push(Rung::Completion { id: id.clone() });
    let calls_tools = match engine {
        Engine::Vllm | Engine::Sim => tool_parser(model, facts.config_of(name)).is_some(),
        Engine::Sglang | Engine::Command => family::wants_tools(model),
    };
    if calls_tools {
        rungs.push(Rung::ToolCall { id: id.clone() });
    }
    if model.thinking == Some(false) {
        rungs.push(Rung::NoThinking { id });
    }
    ReadyRule {
        rungs,
        timeout: (model.ready.as_ref())
            .and_then(|ready| ready.timeout)
            .map_or(TIMEOUT, |timeout| timeout.0),
    }
}

/// The most tokens, prompt and output, that an evaluation needs of a model.
pub fn needed_context(spec: &ClusterSpec, model: &Name) -> Option<u64> {
    spec.evals
        .values()
        .filter_map(|eval| eval.context.get(model))
        .map(|context| context.prompt.saturating_add(context.output))
        .max()
}

/// The rungs of a service.
pub(crate) fn of_service(service: &Service) -> ReadyRule {
    let mut rungs = vec![Rung::Listening];
    let http = service.ready.as_ref().and_then(|ready| ready.http.clone());
    if let Some(path) = http {
        rungs.push(Rung::Health { path });
    }
    if let Some(warmup) = &service.warmup {
        rungs.push(Rung::Warmup(WarmupRequest {
            path: warmup.post.clone(),
            json: warmup.json.clone(),
            requests: warmup.requests.unwrap_or(1),
        }));
    }
    ReadyRule {
        rungs,
        timeout: (service.ready.as_ref())
            .and_then(|ready| ready.timeout)
            .map_or(TIMEOUT, |timeout| timeout.0),
    }
}

/// An evaluation is watched by its results, not by rungs.
pub(crate) fn of_eval() -> ReadyRule {
    ReadyRule {
        rungs: Vec::new(),
        timeout: TIMEOUT,
    }
}

/// How often something is started again: 3 times in 10 minutes, 5 s after the first death.
pub(crate) fn restart(own: Option<&Restart>) -> RestartRule {
    own.map_or(rule(None, None, None), |own| {
        rule(own.attempts, own.backoff, own.window)
    })
}

/// The same of a client.
pub(crate) fn restart_of_client(own: Option<&ClientRestart>) -> RestartRule {
    own.map_or(rule(None, None, None), |own| {
        rule(own.attempts, own.backoff, own.window)
    })
}

fn rule(attempts: Option<u32>, backoff: Option<Duration>, window: Option<Duration>) -> RestartRule {
    RestartRule {
        attempts: attempts.unwrap_or(3),
        backoff: backoff.map_or(Millis::from_secs(5), |length| length.0),
        window: window.map_or(Millis::from_secs(600), |length| length.0),
    }
}
