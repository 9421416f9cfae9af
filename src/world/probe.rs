//! Probes of one rung each, over HTTP and without a proxy.
//!
//! They send exactly what a client sends: streams, tools, `chat_template_kwargs`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::base::bracketed;
use crate::facts::{ProbeFailure, ProbeOutcome};
use crate::plan::{Rung, Unit, WarmupRequest};

/// A server that still loads may hang; this long is enough for one that answers at all.
const QUICK: Duration = Duration::from_secs(5);
/// One that was ready before and is full answers late.
const PATIENT: Duration = Duration::from_mins(1);
/// A page of counters that takes longer says nothing.
const BRIEF: Duration = Duration::from_secs(2);
/// A completion may queue behind others.
const SLOW: Duration = Duration::from_mins(2);

/// In this time a tunnel closes a connection that leads to nobody: the way there and back, and a refusal.
pub(super) const LEADS: Duration = Duration::from_millis(500);

/// Sends probes; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Prober {
    client: Arc<OnceCell<reqwest::Client>>,
    tell: Option<UnboundedSender<Asked>>,
    /// It asks servers that may be full.
    patient: bool,
}

/// A completion that was asked for: it shows in the server's own count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Of whom: `http://host:port`.
    pub base: String,
    /// It was answered; otherwise the server may have finished it or not.
    pub answered: bool,
}

/// What one request brought.
enum Answer {
    /// Any status, and the body.
    Status(u16, String),
    /// No answer: refused, reset, silent.
    None(String),
}

impl Prober {
    /// One that tells of each completion that it asks for.
    pub fn counted() -> (Self, UnboundedReceiver<Asked>) {
        let (tell, told) = unbounded_channel();
        let prober = Self {
            tell: Some(tell),
            ..Self::default()
        };
        (prober, told)
    }

    /// One that waits longer for short answers: whom it asks was ready before, and may be full.
    #[must_use]
    pub fn patient(self) -> Self {
        Self {
            patient: true,
            ..self
        }
    }

    /// Tells that a completion was asked for.
    pub(super) fn asked(&self, base: &str, answered: bool) {
        if let Some(tell) = &self.tell {
            let base = base.to_owned();
            // Nobody may count any more.
            let _ = tell.send(Asked { base, answered });
        }
    }

    /// A server's page of counters; none where it has none, or does not answer soon.
    pub async fn counters(&self, base: &str) -> Option<String> {
        let client = self.client().await.ok()?;
        let asked = client.get(format!("{base}/metrics")).timeout(BRIEF);
        match read(asked.send().await).await {
            Answer::Status(200, page) => Some(page),
            _ => None,
        }
    }

    /// A client that ignores every proxy variable. Its TLS library reads all certificates of the machine, which takes
    /// 50 ms: not before the first probe, by when servers have been started.
    pub(super) async fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        let build = async || {
            reqwest::Client::builder()
                .no_proxy()
                .connect_timeout(Duration::from_secs(3))
                .pool_idle_timeout(Duration::from_secs(20))
                .build()
        };
        self.client.get_or_try_init(build).await
    }

    /// Tries one rung of a unit.
    pub async fn probe(&self, unit: &Unit, rung: &Rung) -> ProbeOutcome {
        let Some(base) = base_of(unit) else {
            return passed("");
        };
        match rung {
            Rung::Listening => passed(""),
            Rung::Tunnel => through_tunnel(unit).await,
            Rung::Health { path } => self.health(&base, path).await,
            Rung::Models { id, context } => self.models(&base, id, *context).await,
            Rung::Release { version } => self.release(&base, version).await,
            Rung::Completion { id } => self.completion(&base, id).await,
            Rung::ToolCall { id } => self.tool_call(&base, id).await,
            Rung::NoThinking { id } => self.no_thinking(&base, id).await,
            Rung::Warmup(warmup) => self.warm_up(&base, warmup).await,
        }
    }

    /// Whether `/health` answers 200.
    pub async fn healthy(&self, host: &str, port: crate::base::Port, path: &str) -> bool {
        let url = format!("http://{}:{port}{path}", bracketed(host));
        matches!(self.get(&url).await, Answer::Status(200, _))
    }

    async fn get(&self, url: &str) -> Answer {
        let within = if self.patient { PATIENT } else { QUICK };
        match self.client().await {
            Ok(client) => read(client.get(url).timeout(within).send().await).await,
            Err(error) => Answer::None(format!("no HTTP client: {error}")),
        }
    }

    async fn post(&self, url: &str, body: &Value) -> Answer {
        match self.client().await {
            Ok(client) => read(client.post(url).timeout(SLOW).json(body).send().await).await,
            Err(error) => Answer::None(format!("no HTTP client: {error}")),
        }
    }

    async fn health(&self, base: &str, path: &str) -> ProbeOutcome {
        match self.get(&format!("{base}{path}")).await {
            Answer::Status(200, _) => passed(""),
            Answer::Status(404, _) => failed(
                format!("`{path}` answers 404"),
                "name the path that tells when it is ready: `ready: {http: /…}`",
                false,
            ),
            Answer::Status(status, _) => not_yet(format!("`{path}` answers {status}")),
            Answer::None(why) => not_yet(why),
        }
    }

    async fn models(&self, base: &str, id: &str, context: Option<u64>) -> ProbeOutcome {
        let body = match self.get(&format!("{base}/v1/models")).await {
            Answer::Status(200, body) => body,
            Answer::Status(status, _) => {
                return not_yet(format!("`/v1/models` answers {status}"));
            }
            Answer::None(why) => return not_yet(why),
        };
        let list: Value = serde_json::from_str(&body).unwrap_or_default();
        let served: Vec<&Value> = list["data"].as_array().into_iter().flatten().collect();
        let Some(model) = served.iter().find(|model| model["id"] == *id) else {
            let names: Vec<&str> = served.iter().filter_map(|m| m["id"].as_str()).collect();
            return failed(
                format!("it serves `{}`, not `{id}`", names.join("`, `")),
                "another server may hold this port; or set `served_name` to what the client asks for",
                true,
            );
        };
        match (model["max_model_len"].as_u64(), context) {
            (Some(length), Some(needed)) if length < needed => failed(
                format!("its context holds {length} tokens, the evaluation needs {needed}"),
                "raise `max_model_len`, or lower what the client sends (`context`)",
                true,
            ),
            (Some(length), _) => passed(format!("{length} tokens")),
            (None, _) => passed(""),
        }
    }

    async fn release(&self, base: &str, version: &str) -> ProbeOutcome {
        let body = match self.get(&format!("{base}/version")).await {
            Answer::Status(200, body) => body,
            Answer::Status(status, _) => return not_yet(format!("`/version` answers {status}")),
            Answer::None(why) => return not_yet(why),
        };
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let found = answer["version"].as_str().unwrap_or("something else");
        // A local build says `0.12.0+cu129`: the same release.
        if found.split('+').next() == Some(version) {
            return passed(found);
        }
        failed(
            format!("it is vLLM {found}, not {version}"),
            format!(
                "write `vllm: {{ version: \"{found}\" }}` so that flags and parsers are checked against it, or start the release that was meant"
            ),
            true,
        )
    }

    async fn completion(&self, base: &str, id: &str) -> ProbeOutcome {
        let body = json!({
            "model": id,
            "messages": [{ "role": "user", "content": "Say yes." }],
            "max_tokens": 1,
        });
        match self.chat(base, &body).await {
            Ok(_) => passed(""),
            Err(outcome) => outcome,
        }
    }

    async fn tool_call(&self, base: &str, id: &str) -> ProbeOutcome {
        let body = json!({
            "model": id,
            "messages": [{
                "role": "user",
                "content": "Use the tool get_weather to look up the weather in Paris.",
            }],
            "tools": [{
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "description": "Looks up the weather in a city.",
                    "parameters": {
                        "type": "object",
                        "properties": { "city": { "type": "string" } },
                        "required": ["city"],
                    },
                },
            }],
            "tool_choice": "auto",
            "temperature": 0,
            "max_tokens": 2048,
        });
        let message = match self.chat(base, &body).await {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
        if calls > 0 {
            let name = message["tool_calls"][0]["function"]["name"].as_str();
            return passed(name.unwrap_or_default());
        }
        let text = message["content"].as_str().unwrap_or("no text");
        failed(
            format!(
                "an automatic tool call came back as text: `{}`",
                excerpt(text)
            ),
            "the tool-call parser does not fit the model: leave `tool_parser` out for the family's own, or check it against the model's card",
            is_raw_call(text),
        )
    }

    async fn no_thinking(&self, base: &str, id: &str) -> ProbeOutcome {
        let body = json!({
            "model": id,
            "messages": [{ "role": "user", "content": "What is 2 + 2?" }],
            "chat_template_kwargs": { "enable_thinking": false },
            "temperature": 0,
            "max_tokens": 64,
        });
        let message = match self.chat(base, &body).await {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        let reasoning = ["reasoning", "reasoning_content"]
            .iter()
            .filter_map(|key| message[*key].as_str())
            .find(|text| !text.trim().is_empty());
        let inline = message["content"]
            .as_str()
            .filter(|text| text.contains("<think>") && !text.contains("<think>\n\n</think>"));
        match reasoning.or(inline) {
            None => passed(""),
            Some(text) => failed(
                format!("it thinks although thinking is off: `{}`", excerpt(text)),
                "the model or its chat template ignores `enable_thinking: false`: use a checkpoint that does not think, or leave `thinking: false` out",
                true,
            ),
        }
    }

    /// One chat completion: its message, or what its failure means.
    async fn chat(&self, base: &str, body: &Value) -> Result<Value, ProbeOutcome> {
        match self
            .post(&format!("{base}/v1/chat/completions"), body)
            .await
        {
            Answer::Status(200, text) => {
                self.asked(base, true);
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                Ok(answer["choices"][0]["message"].clone())
            }
            Answer::Status(503, _) => Err(not_yet("it answers 503".to_owned())),
            Answer::Status(status, text) => Err(refused(status, &text)),
            Answer::None(why) => {
                self.asked(base, false);
                Err(not_yet(why))
            }
        }
    }

    async fn warm_up(&self, base: &str, warmup: &WarmupRequest) -> ProbeOutcome {
        let url = format!("{base}{}", warmup.path);
        for sent in 0..warmup.requests {
            match self.post(&url, &warmup.json).await {
                Answer::Status(200..=299, _) => {}
                Answer::Status(status, text) => {
                    return failed(
                        format!(
                            "warm-up request {} of {} to `{}` answers {status}: `{}`",
                            sent + 1,
                            warmup.requests,
                            warmup.path,
                            excerpt(&text)
                        ),
                        "check `warmup` against what the service accepts",
                        (400..500).contains(&status),
                    );
                }
                Answer::None(why) => return not_yet(why),
            }
        }
        passed(format!("{} requests", warmup.requests))
    }
}

/// Whether a text holds a call that the model wrote and the parser did not read; without one the model may
/// just have preferred to talk, and may call the next time.
fn is_raw_call(text: &str) -> bool {
    let marks = [
        "<tool_call",
        "<function",
        "[TOOL_CALL",
        "<|",
        "\"name\"",
        "get_weather(",
    ];
    text.contains("get_weather") && marks.iter().any(|mark| text.contains(mark))
}

/// What an error of a completion means: a known failure has a known remedy.
fn refused(status: u16, text: &str) -> ProbeOutcome {
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let message = [&parsed["error"]["message"], &parsed["message"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or(text);
    let known = crate::knowledge::failures::classify(message.lines());
    let hopeless = known.as_ref().is_some_and(|found| found.failure.permanent);
    let fix = known.map_or_else(
        || "look into the server's log: `toolorch logs UNIT`".to_owned(),
        |found| format!("{}; {}", found.failure.cause, found.failure.fix),
    );
    failed(
        format!("it answers {status}: `{}`", excerpt(message)),
        fix,
        hopeless || ((400..500).contains(&status) && status != 429),
    )
}

async fn read(sent: Result<reqwest::Response, reqwest::Error>) -> Answer {
    match sent {
        Ok(response) => {
            let status = response.status().as_u16();
            match response.text().await {
                Ok(body) => Answer::Status(status, body),
                Err(error) => Answer::None(words(&error)),
            }
        }
        Err(error) => Answer::None(words(&error)),
    }
}

/// Whether a server takes connections that come through its tunnel. ssh takes each at once, and closes it again where it leads
/// to nobody.
async fn through_tunnel(unit: &Unit) -> ProbeOutcome {
    let (Some(through), Some(place)) = (&unit.through, unit.asked_at()) else {
        return passed("");
    };
    let tunnel = &through.tunnel;
    let hear = format!("toolorch logs {tunnel}");
    let Ok(stream) = TcpStream::connect((place.host.as_str(), place.port)).await else {
        return not_yet(format!("its tunnel `{tunnel}` is down: {hear}"));
    };
    if leads_to(&stream, LEADS).await {
        return passed("");
    }
    not_yet(format!(
        "its tunnel `{tunnel}` stands, and nobody takes connections behind it: the server does not listen there, or sshd \
         does not forward (AllowTcpForwarding): {hear}"
    ))
}

/// Whether a connection to a tunnel leads to somebody: it stays open for so long, or somebody speaks.
pub(super) async fn leads_to(stream: &TcpStream, patience: Duration) -> bool {
    let mut byte = [0];
    match timeout(patience, stream.peek(&mut byte)).await {
        Err(_) => true,
        Ok(heard) => heard.is_ok_and(|count| count > 0),
    }
}

pub(super) fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it does not answer in time".to_owned()
    } else if error.is_connect() {
        "it refuses the connection".to_owned()
    } else {
        "it broke the connection off".to_owned()
    }
}

/// Where a server is asked: `http://host:port`; none where it has no port.
pub fn base_of(unit: &Unit) -> Option<String> {
    let place = unit.asked_at()?;
    Some(format!("http://{place}"))
}

fn excerpt(text: &str) -> String {
    let line = crate::base::clean(&text.replace('\n', " "));
    let mut short: String = line.chars().take(160).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

fn passed(detail: impl Into<String>) -> ProbeOutcome {
    ProbeOutcome::Passed {
        detail: detail.into(),
    }
}

fn not_yet(why: String) -> ProbeOutcome {
    ProbeOutcome::NotYet { why }
}

fn failed(why: String, fix: impl Into<String>, permanent: bool) -> ProbeOutcome {
    ProbeOutcome::Failed(ProbeFailure {
        why,
        fix: fix.into(),
        permanent,
    })
}
