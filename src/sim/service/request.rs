//! What a stand-in is asked through an API of OpenAI's form, and what it says to that. Pure.

use serde_json::{Value, json};

use super::super::answers::{self, Answer, Choice, Message};
use super::super::conduct::Conduct;
use super::super::{chat, tokens};

/// Tokens that the API adds to each message.
const PER_MESSAGE: usize = 3;

/// The forms in which a text is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
    /// `/v1/responses`.
    Responses,
}

/// Why a request cannot be answered, in OpenAI's form; its status is 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    message: String,
    param: Option<&'static str>,
}

impl Complaint {
    /// A complaint about one key, or about the whole.
    pub(super) fn new(message: String, param: Option<&'static str>) -> Self {
        Self { message, param }
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message, "type": "invalid_request_error", "param": self.param, "code": null,
        }})
    }
}

/// A request for a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// How it was asked.
    pub(super) form: Form,
    /// The model's id, as the client sent it.
    pub(super) model: String,
    /// Whether it is streamed.
    pub(super) stream: bool,
    /// `stream_options.include_usage`.
    pub(super) include_usage: bool,
    messages: Vec<Message>,
    limit: Option<usize>,
}

/// What is said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// The text.
    pub(super) text: String,
    /// It is cut, because the client wanted no more tokens.
    pub(super) cut: bool,
    /// Tokens of the prompt.
    pub(super) tokens_in: usize,
    /// Tokens of the text.
    pub(super) tokens_out: usize,
}

impl Asked {
    /// Reads a request; `model` is taken where it names none.
    pub(super) fn read(form: Form, body: &Value, model: &str) -> Result<Self, Complaint> {
        let messages = match form {
            Form::Chat => listed(&body["messages"]),
            Form::Text => prompt(&body["prompt"]),
            Form::Responses => input(body),
        };
        let key = match form {
            Form::Chat => "messages",
            Form::Text => "prompt",
            Form::Responses => "input",
        };
        let messages = messages.ok_or_else(|| {
            Complaint::new(format!("Missing required parameter: '{key}'."), Some(key))
        })?;
        let keys = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
        let limit = keys.iter().find_map(|key| body[*key].as_u64());
        Ok(Self {
            form,
            model: body["model"].as_str().unwrap_or(model).to_owned(),
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"]
                .as_bool()
                .unwrap_or(false),
            messages,
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
        })
    }

    /// A verdict to whom asks for one, else a short text.
    pub(super) fn answer(&self) -> Said {
        let text = match answers::answer(&self.messages, &[], &Choice::None, &Conduct::default(), 0)
        {
            Answer::Text(text) => text,
            Answer::Call(call) => call.arguments.to_string(),
            // It was told of no share that would bring this.
            Answer::Endless => String::new(),
        };
        let read = |message: &Message| tokens::count(&message.text) + PER_MESSAGE;
        let tokens_in = self.messages.iter().map(read).sum();
        let all = tokens::count(&text);
        let tokens_out = self.limit.map_or(all, |limit| limit.min(all));
        Said {
            text: tokens::head(&text, tokens_out).to_owned(),
            cut: tokens_out < all,
            tokens_in,
            tokens_out,
        }
    }
}

fn user(text: &str) -> Message {
    Message {
        role: "user".to_owned(),
        text: text.to_owned(),
        calls: Vec::new(),
    }
}

fn listed(messages: &Value) -> Option<Vec<Message>> {
    let messages = messages.as_array().filter(|messages| !messages.is_empty());
    messages.map(|messages| messages.iter().map(chat::message).collect())
}

fn prompt(prompt: &Value) -> Option<Vec<Message>> {
    let text = match prompt {
        Value::String(text) => text.clone(),
        Value::Array(parts) => match parts.first()? {
            Value::String(text) => text.clone(),
            _ => prompt.to_string(),
        },
        _ => return None,
    };
    Some(vec![user(&text)])
}

fn input(body: &Value) -> Option<Vec<Message>> {
    let said = match &body["input"] {
        Value::String(text) => vec![user(text)],
        items => listed(items)?,
    };
    let system = body["instructions"].as_str().map(|text| Message {
        role: "system".to_owned(),
        ..user(text)
    });
    Some(system.into_iter().chain(said).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(form: Form, body: &Value) -> Said {
        Asked::read(form, body, "m").unwrap().answer()
    }

    #[test]
    fn each_form_reaches_the_same_judge() {
        let prompt = "Write <correct>True</correct> or <correct>False</correct>.\nReference: 42\nPrediction: 42";
        let parts = json!([{"type": "input_text", "text": prompt}]);
        for (form, body) in [
            (
                Form::Chat,
                json!({"messages": [{"role": "user", "content": prompt}]}),
            ),
            (Form::Text, json!({"prompt": [prompt]})),
            (
                Form::Responses,
                json!({"input": prompt, "instructions": "Judge."}),
            ),
            (
                Form::Responses,
                json!({"input": [{"role": "user", "content": parts}]}),
            ),
        ] {
            let said = said(form, &body);
            assert_eq!(said.text, "<correct>True</correct>", "{form:?}");
            assert!(said.tokens_in > 20 && !said.cut);
        }
    }

    #[test]
    fn a_limit_cuts() {
        let body = json!({"prompt": "12 + 30", "max_tokens": 3});
        let said = said(Form::Text, &body);
        assert_eq!(
            (said.text.as_str(), said.tokens_out, said.cut),
            ("12 + 30", 3, true)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let complaints = [
            (Form::Chat, json!({"messages": []})),
            (Form::Text, json!({})),
            (Form::Responses, json!([1])),
        ]
        .map(|(form, body)| {
            Asked::read(form, &body, "m")
                .unwrap_err()
                .body()
                .to_string()
        });
        insta::assert_snapshot!(complaints.join("\n"), @r#"
        {"error":{"message":"Missing required parameter: 'messages'.","type":"invalid_request_error","param":"messages","code":null}}
        {"error":{"message":"Missing required parameter: 'prompt'.","type":"invalid_request_error","param":"prompt","code":null}}
        {"error":{"message":"Missing required parameter: 'input'.","type":"invalid_request_error","param":"input","code":null}}
        "#);
    }
}
