//! One chat request → the completion or the error that vLLM gives for it. Pure.

use serde_json::{Map, Value};

use super::answers::{self, Call, Choice, Message, Tool};
use super::config::{MEASURED, SimConfig};
use super::context;
use super::errors::ApiError;
use super::lengths;
use super::tokens;
use super::toolcalls::{self, Rendered};
use super::wishes;
use crate::knowledge::release::Release;

/// Tokens that a chat template adds to each message, and to the prompt.
const PER_MESSAGE: usize = 4;

/// A completed chat request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Completion {
    /// The text that the server splits off as reasoning.
    pub(super) reasoning: Option<String>,
    /// The text.
    pub(super) content: Option<String>,
    /// The tool call that the server parsed.
    pub(super) call: Option<Call>,
    /// `stop`, `length` or `tool_calls`.
    pub(super) finish: &'static str,
    /// The text of `stop` that ended it.
    pub(super) stop_reason: Option<String>,
    /// Tokens of the prompt.
    pub(super) tokens_in: usize,
    /// Tokens of the answer.
    pub(super) tokens_out: usize,
    /// What the tool parser found, where it was asked.
    pub(super) parsed: Option<Parsed>,
    /// What a stream breaks off with.
    pub(super) breaks: Option<ApiError>,
}

/// What the tool parser found in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A tool call.
    ToolCall,
    /// None.
    NoToolCall,
}

/// The parts of a chat request that matter here.
#[derive(Debug)]
pub(super) struct ChatRequest {
    /// The model's id, as the client sent it.
    pub(super) model: Option<String>,
    /// Whether it is streamed.
    pub(super) stream: bool,
    /// `stream_options.include_usage`.
    pub(super) include_usage: bool,
    messages: Vec<Message>,
    tools: Vec<Tool>,
    choice: Choice,
    max_tokens: Option<usize>,
    stops: Vec<String>,
    template_kwargs: Map<String, Value>,
    prompt_tokens: usize,
}

impl ChatRequest {
    /// Reads a request body; refuses what vLLM's own validation refuses.
    pub(super) fn read(release: Release, body: &Value) -> Result<Self, ApiError> {
        let Some(messages) = body["messages"].as_array() else {
            let keys = body.as_object().map_or(0, Map::len);
            return Err(ApiError::missing_field(release, "messages", keys));
        };
        wishes::check(release, body)?;
        let messages: Vec<Message> = messages.iter().map(message).collect();
        let tools: Vec<Tool> = body["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .map(tool)
            .collect();
        let choice = match &body["tool_choice"] {
            Value::String(word) if word == "none" => Choice::None,
            Value::String(word) if word == "required" => Choice::Required,
            Value::Object(named) => Choice::Named(
                named["function"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ),
            _ if tools.is_empty() => Choice::None,
            _ => Choice::Auto,
        };
        let number = |key: &str| {
            body[key]
                .as_u64()
                .and_then(|value| usize::try_from(value).ok())
        };
        let texts: usize = messages
            .iter()
            .map(|message| tokens::count(&message.text) + PER_MESSAGE)
            .sum();
        let offered = if tools.is_empty() {
            0
        } else {
            tokens::count(&body["tools"].to_string())
        };
        Ok(Self {
            model: body["model"].as_str().map(str::to_owned),
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"]
                .as_bool()
                .unwrap_or(false),
            messages,
            tools,
            choice,
            max_tokens: number("max_completion_tokens").or(number("max_tokens")),
            stops: wishes::stops(&body["stop"]),
            template_kwargs: body["chat_template_kwargs"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
            prompt_tokens: texts + offered + PER_MESSAGE,
        })
    }
}

/// One message of a request body.
pub(super) fn message(value: &Value) -> Message {
    let text = match &value["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    };
    let calls = value["tool_calls"].as_array().into_iter().flatten();
    let calls = calls
        .filter_map(|call| call["function"]["name"].as_str())
        .map(str::to_owned)
        .collect();
    Message {
        role: value["role"].as_str().unwrap_or_default().to_owned(),
        text,
        calls,
    }
}

fn tool(value: &Value) -> Tool {
    let function = &value["function"];
    Tool {
        name: function["name"].as_str().unwrap_or_default().to_owned(),
        parameters: function["parameters"].clone(),
    }
}

/// Answers a request as `server` does.
pub(super) fn complete(server: &SimConfig, request: &ChatRequest) -> Result<Completion, ApiError> {
    toolcalls::check_choice(server, &request.choice)?;
    let room = room(server, request.prompt_tokens, request.max_tokens)?;
    let answer = answers::answer(
        &request.messages,
        &request.tools,
        &request.choice,
        &server.conduct,
        server.seed,
    );
    let rendered = toolcalls::render(server, &request.choice, answer, request.stream)?;
    let thinks = thinks(server, request);
    if rendered.finish == "length" {
        return Ok(endless(
            server,
            thinks,
            rendered,
            room,
            request.prompt_tokens,
        ));
    }
    let thoughts = thinks.then(|| answers::reasoning(&request.messages));
    let (reasoning, mut rendered) = split_reasoning(server, thoughts, rendered);
    let stopped = rendered
        .content
        .as_mut()
        .and_then(|text| wishes::stop_at(text, &request.stops));
    let completion = cut(reasoning, rendered, room, request.prompt_tokens);
    let spoken = completion.tokens_out;
    let drawn = server.answer_tokens.map_or(spoken, |mean| {
        lengths::drawn(
            answers::hash(&request.messages),
            server.seed,
            mean,
            server.answer_spread,
        )
    });
    Ok(Completion {
        stop_reason: stopped.filter(|_| completion.finish == "stop"),
        // What a model thinks counts, and is not always sent.
        tokens_out: drawn.clamp(spoken, room.max(spoken)),
        ..completion
    })
}

/// How many tokens may be generated; refuses a prompt or a wish that does not fit.
pub(super) fn room(
    server: &SimConfig,
    prompt: usize,
    wanted: Option<usize>,
) -> Result<usize, ApiError> {
    let limit = usize::try_from(server.max_model_len).unwrap_or(usize::MAX);
    let room = limit.saturating_sub(prompt);
    // Measured: 0.32 answers a wish that only together with the prompt is too long, and stops at the limit.
    let most = if server.release >= MEASURED {
        limit
    } else {
        room
    };
    if room == 0 || wanted.is_some_and(|wanted| wanted > most) {
        return Err(context::exceeded(server.release, limit, prompt, wanted));
    }
    Ok(wanted.map_or(room, |wanted| wanted.min(room)))
}

/// Whether the model reasons aloud for this request.
fn thinks(server: &SimConfig, request: &ChatRequest) -> bool {
    let Some(family) = server.family() else {
        return false;
    };
    let Some(thinking) = family.thinking else {
        // Without a switch, a family that has a reasoning parser always thinks.
        return family.reasoning_parser.is_some();
    };
    let key = thinking
        .off
        .trim_start_matches(['{', '"'])
        .split('"')
        .next()
        .unwrap_or_default();
    let said = request
        .template_kwargs
        .get(key)
        .or(server.template_kwargs.get(key));
    said.and_then(Value::as_bool).unwrap_or(thinking.by_default)
}

/// What a model says that finds no end; of a long text only the beginning is sent.
const RAMBLING: &str =
    " Wait, let me check that again. Step by step, then: that was not it either.";
/// Tokens of such a text that are sent.
const SHOWN: usize = 400;

/// An answer that fills all the room there is; a model that thinks has not got any further.
fn endless(
    server: &SimConfig,
    thinks: bool,
    rendered: Rendered,
    room: usize,
    prompt_tokens: usize,
) -> Completion {
    let times = SHOWN / tokens::count(RAMBLING) + 1;
    let text = RAMBLING.repeat(times);
    let text = tokens::head(text.trim_start(), room.min(SHOWN)).to_owned();
    let (reasoning, content) = match (thinks, splits(server)) {
        (true, true) => (Some(text), None),
        (true, false) => (None, Some(format!("<think>\n{text}"))),
        (false, _) => (None, Some(text)),
    };
    Completion {
        reasoning,
        content,
        call: None,
        finish: "length",
        stop_reason: None,
        tokens_in: prompt_tokens,
        tokens_out: room,
        parsed: rendered.parsed,
        breaks: rendered.breaks,
    }
}

/// Whether the server takes apart what was thought and what was said.
fn splits(server: &SimConfig) -> bool {
    server.reasoning_parser.is_some() || server.is_gpt_oss()
}

/// Reasoning goes to its own field with a reasoning parser (and always for gpt-oss, whose channels vLLM reads
/// itself), else it stays in the text between `<think>` tags.
fn split_reasoning(
    server: &SimConfig,
    thoughts: Option<String>,
    mut rendered: Rendered,
) -> (Option<String>, Rendered) {
    let Some(thoughts) = thoughts else {
        return (None, rendered);
    };
    if splits(server) {
        return (Some(thoughts), rendered);
    }
    // A forced call is decoded from its schema; nothing is thought aloud before it.
    if rendered.content.is_some() || rendered.finish == "tool_calls" {
        let said = rendered.content.take().unwrap_or_default();
        rendered.content = Some(format!("<think>\n{thoughts}\n</think>\n\n{said}"));
    }
    (None, rendered)
}

fn cut(
    mut reasoning: Option<String>,
    rendered: Rendered,
    room: usize,
    prompt_tokens: usize,
) -> Completion {
    let Rendered {
        mut content,
        mut call,
        mut finish,
        parsed,
        breaks,
    } = rendered;
    let spoken = reasoning.as_deref().map_or(0, tokens::count);
    let said = content.as_deref().map_or(0, tokens::count);
    let called = call.as_ref().map_or(0, |call| {
        tokens::count(&call.name) + tokens::count(&call.arguments.to_string())
    });
    let total = spoken + said + called + 1;
    if total > room {
        finish = "length";
        call = None;
        reasoning = reasoning.map(|text| tokens::head(&text, room).to_owned());
        let left = room.saturating_sub(spoken);
        content = content
            .map(|text| tokens::head(&text, left).to_owned())
            .filter(|text| !text.is_empty());
    }
    Completion {
        reasoning,
        content,
        call,
        finish,
        stop_reason: None,
        tokens_in: prompt_tokens,
        tokens_out: total.min(room),
        parsed,
        breaks,
    }
}

/// Goes on with a text, as `/v1/completions` does: by default for 16 tokens.
pub(super) fn go_on(
    server: &SimConfig,
    prompt: String,
    wanted: Option<usize>,
) -> Result<Completion, ApiError> {
    let prompt_tokens = tokens::count(&prompt);
    let room = room(server, prompt_tokens, Some(wanted.unwrap_or(16)))?;
    let message = Message {
        role: "user".to_owned(),
        text: prompt,
        calls: Vec::new(),
    };
    let (conduct, seed) = (&server.conduct, server.seed);
    let answer = answers::answer(&[message], &[], &Choice::None, conduct, seed);
    let rendered = Rendered::of_text(answer, None);
    Ok(if rendered.finish == "length" {
        endless(server, false, rendered, room, prompt_tokens)
    } else {
        cut(None, rendered, room, prompt_tokens)
    })
}
