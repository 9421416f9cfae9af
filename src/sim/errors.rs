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
    /// The status that its body names.
    code: u16,
    message: String,
    kind: &'static str,
    param: Option<String>,
}

/// The class of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exception {
    /// `TypeError`.
    Type,
    /// `NotImplementedError`.
    NotImplemented,
}

impl ApiError {
    /// A 400 with vLLM's own message.
    pub(super) fn bad_request(message: &str) -> Self {
        Self::of(400, "BadRequestError", message)
    }

    fn of(status: u16, kind: &'static str, message: &str) -> Self {
        Self {
            status,
            code: status,
            message: message.to_owned(),
            kind,
            param: None,
        }
    }

    /// An exception inside the handler: a 500 until 0.14; then what fits its class, which 0.15 and 0.16 say in the body
    /// of a 200.
    pub(super) fn exception(release: Release, class: Exception, message: &str) -> Self {
        if release < Release::new(0, 15, 0) {
            return Self::of(500, "Internal Server Error", message);
        }
        let error = Self::raised(release, class, message);
        if release < Release::new(0, 17, 0) {
            return Self {
                status: 200,
                ..error
            };
        }
        error
    }

    /// An exception while an answer is streamed, which is told in the stream.
    pub(super) fn raised(release: Release, class: Exception, message: &str) -> Self {
        match class {
            Exception::NotImplemented if release >= Release::new(0, 15, 0) => {
                Self::of(501, "NotImplementedError", message)
            }
            Exception::Type | Exception::NotImplemented => Self::bad_request(message),
        }
    }

    /// What a request gets whose engine died.
    pub(super) fn engine_dead() -> Self {
        let message =
            "EngineCore encountered an issue. See stack trace (above) for the root cause.";
        Self::of(500, "InternalServerError", message)
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
            param: Some(param).filter(|_| release >= MEASURED),
            ..Self::of(
                400,
                "Bad Request",
                &format!("1 validation error:\n  {what}"),
            )
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
            return Self::of(404, "NotFoundError", &plain);
        }
        let aliases: Vec<String> = served.iter().map(|id| shown(id)).collect();
        let mut message = format!("{plain} Valid aliases: {}.", aliases.join(", "));
        // Measured: what hides a path takes the full stop after it for a part of the path.
        if message.ends_with("<path>.") {
            message.pop();
        }
        Self {
            param: Some("model".to_owned()),
            ..Self::of(404, "NotFoundError", &message)
        }
    }

    /// What the server's log says about it, with the place in the source; vLLM logs no other refusal.
    pub(super) fn log_text(&self, release: Release) -> Option<(&'static str, String)> {
        let Self {
            status,
            message,
            kind,
            param,
            ..
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
            400 if release < Release::new(0, 18, 0) && message.contains("context length is") => {
                Some((
                    "serving_chat.py:257",
                    format!(
                        "Error in preprocessing prompt inputs\nTraceback (most recent call last):\n  ...\nValueError: {message}"
                    ),
                ))
            }
            _ => None,
        }
    }

    /// The body: `{"error": …}` since 0.10.1, the bare object before.
    pub(super) fn body(&self, release: Release) -> Value {
        let Self {
            code,
            message,
            kind,
            param,
            ..
        } = self;
        if release < Release::new(0, 10, 1) {
            return json!({"object": "error", "message": message, "type": kind, "param": param, "code": code});
        }
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
