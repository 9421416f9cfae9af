//! vLLM's error answers, in the words and the shape of each release. Pure.

use serde_json::{Value, json};

use super::config::MEASURED;
use super::text::python_repr;
use crate::knowledge::release::Release;

/// An HTTP error of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    /// The HTTP status.
    pub(super) status: u16,
    message: String,
    kind: &'static str,
    param: Option<String>,
}

impl ApiError {
    /// A 400 with vLLM's own message.
    pub(super) fn bad_request(message: &str) -> Self {
        Self {
            status: 400,
            message: message.to_owned(),
            kind: "BadRequestError",
            param: None,
        }
    }

    /// An exception inside the handler.
    pub(super) fn internal(message: &str) -> Self {
        Self {
            status: 500,
            message: message.to_owned(),
            kind: "Internal Server Error",
            param: None,
        }
    }

    /// What a request gets whose engine died.
    pub(super) fn engine_dead() -> Self {
        Self {
            status: 500,
            message: "EngineCore encountered an issue. See stack trace (above) for the root cause."
                .to_owned(),
            kind: "InternalServerError",
            param: None,
        }
    }

    /// A 400 of 0.32 or later, which names the parameter.
    pub(super) fn bad_parameter(param: &str, message: &str) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::bad_request(message)
        }
    }

    /// A body that is no JSON; `at` is the byte where reading it failed.
    pub(super) fn bad_json(release: Release, at: usize) -> Self {
        let (place, input) = if release >= MEASURED {
            (format!("'body.{at}'"), "'<dict of 0 items>'")
        } else {
            ("('body', 0)".to_owned(), "{}")
        };
        let what = format!(
            "{{'type': 'json_invalid', 'loc': {place}, 'msg': 'JSON decode error', 'input': {input}, 'ctx': {{'error': \
             'Expecting value'}}}}"
        );
        Self::invalid(release, &what, format!("body.{at}"))
    }

    /// A body of so many keys without a required one.
    pub(super) fn missing_field(release: Release, field: &str, keys: usize) -> Self {
        let (place, input) = if release >= MEASURED {
            (
                format!("'body.{field}'"),
                format!("'<dict of {keys} items>'"),
            )
        } else {
            (format!("('body', '{field}')"), "{}".to_owned())
        };
        let what = format!(
            "{{'type': 'missing', 'loc': {place}, 'msg': 'Field required', 'input': {input}}}"
        );
        Self::invalid(release, &what, format!("body.{field}"))
    }

    /// What the validation of a body says.
    fn invalid(release: Release, what: &str, param: String) -> Self {
        Self {
            status: 400,
            message: format!("1 validation error:\n  {what}"),
            kind: "Bad Request",
            param: Some(param).filter(|_| release >= MEASURED),
        }
    }

    /// A model id that this server does not answer to; 0.32 lists those that it does, and hides those that look like a
    /// path.
    pub(super) fn no_such_model(release: Release, asked: &str, served: &[String]) -> Self {
        let shown = |id: &str| {
            if id.starts_with(['/', '.', '~']) {
                "<path>".to_owned()
            } else {
                id.to_owned()
            }
        };
        let plain = format!("The model `{asked}` does not exist.");
        if release < MEASURED {
            return Self {
                status: 404,
                message: plain,
                kind: "NotFoundError",
                param: None,
            };
        }
        let aliases: Vec<String> = served.iter().map(|id| shown(id)).collect();
        let mut message = format!("{plain} Valid aliases: {}.", aliases.join(", "));
        // Measured: what hides a path takes the full stop after it for a part of the path.
        if message.ends_with("<path>.") {
            message.pop();
        }
        Self {
            status: 404,
            message,
            kind: "NotFoundError",
            param: Some("model".to_owned()),
        }
    }

    /// A prompt, or a prompt with the tokens asked for, that exceeds the context length, in the wording of the release.
    pub(super) fn context(
        release: Release,
        limit: usize,
        prompt: usize,
        wanted: Option<usize>,
    ) -> Self {
        let head = format!("This model's maximum context length is {limit} tokens.");
        if release >= MEASURED
            && let Some(wanted) = wanted.filter(|wanted| *wanted > limit)
        {
            let message = format!(
                "max_tokens={wanted} cannot be greater than max_model_len={limit}. Please request fewer output tokens. \
                 (parameter=max_tokens, value={wanted})"
            );
            return Self::bad_parameter("max_tokens", &message);
        }
        if release >= MEASURED && prompt >= limit {
            // Tokenization stops early, so the number is a lower bound.
            let at_least = limit + 1;
            let message = format!(
                "{head} However, your prompt contains at least {at_least} input tokens, which exceeds this limit even \
                 without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, \
                 value={at_least})"
            );
            return Self::bad_parameter("input_tokens", &message);
        }
        let message = if release >= Release::new(0, 20, 0) {
            let wanted = wanted.unwrap_or(1);
            let total = prompt + wanted;
            format!(
                "{head} However, you requested {wanted} output tokens and your prompt contains at least {prompt} input \
                 tokens, for a total of at least {total} tokens. Please reduce the length of the input prompt or the \
                 number of requested output tokens. (parameter=input_tokens, value={prompt})"
            )
        } else if prompt >= limit {
            format!(
                "{head} However, your request has {prompt} input tokens. Please reduce the length of the input messages."
            )
        } else {
            let wanted = wanted.unwrap_or_default();
            old_wish(release, limit, prompt, wanted)
        };
        Self::bad_request(&message)
    }

    /// What the server's log says about it, with the place in the source; vLLM logs no other refusal.
    pub(super) fn log_text(&self, release: Release) -> Option<(&'static str, String)> {
        let Self {
            status,
            message,
            kind,
            param,
        } = self;
        match status {
            500 => {
                let class = if message.contains("unexpected keyword") {
                    "TypeError"
                } else {
                    "NotImplementedError"
                };
                Some((
                    "serving_chat.py:1195",
                    format!("Traceback (most recent call last):\n  ...\n{class}: {message}"),
                ))
            }
            404 => {
                let param = param
                    .as_deref()
                    .map_or_else(|| "None".to_owned(), python_repr);
                let (shown, kind) = (python_repr(message), python_repr(kind));
                let text = if release < Release::new(0, 10, 1) {
                    format!(
                        "Error with model object='error' message={shown} type={kind} param={param} code=404"
                    )
                } else {
                    format!(
                        "Error with model error=ErrorInfo(message={shown}, type={kind}, param={param}, code=404)"
                    )
                };
                Some(("serving_chat.py:187", text))
            }
            400 if message.contains("maximum context length") => Some((
                "serving_chat.py:257",
                format!(
                    "Error in preprocessing prompt inputs\nTraceback (most recent call last):\n  ...\nValueError: {message}"
                ),
            )),
            _ => None,
        }
    }

    /// The body: `{"error": …}` since 0.10.1, the bare object before.
    pub(super) fn body(&self, release: Release) -> Value {
        let Self {
            status,
            message,
            kind,
            param,
        } = self;
        if release < Release::new(0, 10, 1) {
            return json!({"object": "error", "message": message, "type": kind, "param": param, "code": status});
        }
        json!({"error": {"message": message, "type": kind, "param": param, "code": status}})
    }
}

fn old_wish(release: Release, limit: usize, prompt: usize, wanted: usize) -> String {
    if release < Release::new(0, 11, 0) {
        let total = prompt + wanted;
        return format!(
            "This model's maximum context length is {limit} tokens. However, you requested {total} tokens ({prompt} in the \
             messages, {wanted} in the completion). Please reduce the length of the messages or completion."
        );
    }
    format!(
        "'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum context length is {limit} \
         tokens and your request has {prompt} input tokens ({wanted} > {limit} - {prompt})."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::failures;

    fn message(release: &str, prompt: usize, wanted: Option<usize>) -> String {
        ApiError::context(release.parse().unwrap(), 1024, prompt, wanted).message
    }

    #[test]
    fn each_release_has_its_wording_and_the_signatures_know_it() {
        let known = |text: &str| failures::classify_line(text).map(|found| found.failure.id);
        assert_eq!(
            known(&message("0.12.0", 2000, None)),
            Some("ctx-overflow-0.11-0.14")
        );
        assert_eq!(
            known(&message("0.24.0", 2000, Some(5))),
            Some("ctx-overflow-0.20-0.28")
        );
        assert_eq!(
            known(&message("0.32.0", 2000, None)),
            Some("ctx-overflow-new")
        );
        assert_eq!(
            known(&message("0.32.0", 10, Some(5000))),
            Some("max-tokens-too-big")
        );
        insta::assert_snapshot!(message("0.12.0", 1000, Some(100)), @"'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 1024 tokens and your request has 1000 input tokens (100 > 1024 - 1000).");
        insta::assert_snapshot!(message("0.10.2", 1000, Some(100)), @"This model's maximum context length is 1024 tokens. However, you requested 1100 tokens (1000 in the messages, 100 in the completion). Please reduce the length of the messages or completion.");
    }

    #[test]
    fn an_unknown_model_is_named_and_paths_are_hidden_in_0_32() {
        let message = |release: &str, served: &[&str]| {
            let served: Vec<String> = served.iter().map(|id| (*id).to_owned()).collect();
            ApiError::no_such_model(release.parse().unwrap(), "x", &served).message
        };
        assert_eq!(
            message("0.32.0", &["/models/tiny"]),
            "The model `x` does not exist. Valid aliases: <path>"
        );
        assert_eq!(
            message("0.32.0", &["a/b", "c"]),
            "The model `x` does not exist. Valid aliases: a/b, c."
        );
        assert_eq!(
            message("0.12.0", &["/models/tiny"]),
            "The model `x` does not exist."
        );
        let old = Release::new(0, 9, 2);
        assert!(ApiError::no_such_model(old, "x", &[]).body(old)["object"] == "error");
    }
}
