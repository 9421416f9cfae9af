//! What becomes of a tool call on its way through vLLM: the parser that was asked for, against the format that the
//! model speaks, by release. Pure.

use serde_json::{Value, json};

use super::answers::{Answer, Call, Choice};
use super::chat::Parsed;
use super::config::{MEASURED, SimConfig};
use super::errors::{ApiError, Exception};
use super::text;
use crate::knowledge::families;
use crate::knowledge::release::Release;

/// An answer as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rendered {
    /// The text.
    pub(super) content: Option<String>,
    /// The call that was parsed.
    pub(super) call: Option<Call>,
    /// `stop`, `tool_calls`, or `length` of a text that has no end and is not here.
    pub(super) finish: &'static str,
    /// What the tool parser found, where it was asked.
    pub(super) parsed: Option<Parsed>,
    /// What a stream breaks off with.
    pub(super) breaks: Option<ApiError>,
}

impl Rendered {
    /// What is said, as it is said.
    pub(super) fn of_text(answer: Answer, parsed: Option<Parsed>) -> Self {
        let (content, finish) = match answer {
            Answer::Text(text) => (Some(text), "stop"),
            Answer::Call(call) => (Some(call.arguments.to_string()), "stop"),
            Answer::Endless => (None, "length"),
        };
        Self {
            content,
            call: None,
            finish,
            parsed,
            breaks: None,
        }
    }
}

/// Refuses a tool choice that the server's flags do not allow.
pub(super) fn check_choice(server: &SimConfig, choice: &Choice) -> Result<(), ApiError> {
    let without_parser = server.tool_parser.is_none() && server.release >= MEASURED;
    let named;
    let message = match choice {
        Choice::Auto if !server.auto_tool_choice || server.tool_parser.is_none() => {
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"
        }
        Choice::Required if without_parser => {
            "tool_choice=\"required\" requires --tool-call-parser to be set"
        }
        Choice::Named(name) if without_parser => {
            named =
                format!("tool_choice=function \"{name}\" requires --tool-call-parser to be set");
            &named
        }
        _ => return Ok(()),
    };
    Err(ApiError::bad_request(message))
}

/// Passes an answer through the server's parser.
pub(super) fn render(
    server: &SimConfig,
    choice: &Choice,
    answer: Answer,
    stream: bool,
) -> Result<Rendered, ApiError> {
    let asked = (*choice == Choice::Auto).then_some(Parsed::NoToolCall);
    match broken_parser(server, choice, stream) {
        Some((class, words)) if !stream => {
            return Err(ApiError::exception(server.release, class, &words));
        }
        Some((class, words)) => {
            return Ok(Rendered {
                breaks: Some(ApiError::raised(server.release, class, &words)),
                ..Rendered::of_text(answer, asked)
            });
        }
        None => {}
    }
    let call = match answer {
        Answer::Call(call) => call,
        said => return Ok(Rendered::of_text(said, asked)),
    };
    if *choice == Choice::Auto && !understands(server) {
        let raw = Answer::Text(native(server, &call));
        return Ok(Rendered::of_text(raw, asked));
    }
    // Measured: a call to a named function finishes with `stop`.
    let finish = if matches!(choice, Choice::Named(_)) {
        "stop"
    } else {
        "tool_calls"
    };
    // Measured: 0.32 has an empty text beside a call that was forced, and none beside one that was free.
    let forced = *choice != Choice::Auto && server.release >= MEASURED;
    Ok(Rendered {
        content: forced.then(String::new),
        call: Some(call),
        finish,
        parsed: asked.map(|_| Parsed::ToolCall),
        breaks: None,
    })
}

/// The first release that reads what gpt-oss says by itself, whatever the parser, and whose `openai` parser is empty.
const HARMONY: Release = Release::new(0, 24, 0);

/// The exception of a parser that can't work with this model at all. A stream of gpt-oss goes by no parser.
fn broken_parser(server: &SimConfig, choice: &Choice, stream: bool) -> Option<(Exception, String)> {
    let parser = server
        .tool_parser
        .as_deref()
        .filter(|_| server.auto_tool_choice)?;
    // From 0.10.2 until some release before 0.24, every parser was handed the token ids of a gpt-oss answer, with or
    // without tools in the request; only the openai parser takes them.
    let handed = Release::new(0, 10, 2) <= server.release && server.release < HARMONY;
    if server.is_gpt_oss() {
        let class = parser_class(parser);
        let words = "extract_tool_calls() got an unexpected keyword argument 'token_ids'";
        let fails = handed && parser != "openai" && !stream;
        return fails.then(|| (Exception::Type, format!("{class}.{words}")));
    }
    if parser != "openai" || *choice != Choice::Auto {
        return None;
    }
    let words = if server.release >= HARMONY {
        "GptOssToolParser is a stub. Use HarmonyParser for tool parsing."
    } else if stream {
        "Not being used, manual parsing in serving_chat.py"
    } else {
        "OpenAIToolParser requires token IDs and does not support text-based extraction."
    };
    Some((Exception::NotImplemented, words.to_owned()))
}

fn parser_class(parser: &str) -> String {
    match parser {
        "hermes" => "Hermes2ProToolParser".to_owned(),
        "llama3_json" | "llama4_json" => "Llama3JsonToolParser".to_owned(),
        "openai" => "OpenAIToolParser".to_owned(),
        other => text::camel(other) + "ToolParser",
    }
}

/// Parsers that read each other's format.
const ALIKE: [&[&str]; 4] = [
    &["hermes", "qwen3_json"],
    &["qwen3_coder", "qwen3_xml"],
    &["llama3_json", "llama4_json"],
    &["pythonic", "llama4_pythonic"],
];

/// Whether the server's parser reads what the model writes; a model of no known family gets the benefit of the doubt.
fn understands(server: &SimConfig) -> bool {
    let Some(parser) = server.tool_parser.as_deref() else {
        return false;
    };
    if server.is_gpt_oss() {
        return true;
    }
    let own = own_parsers(server);
    let reads = |own: &&str| {
        let alike = |group: &&[&str]| group.contains(&parser) && group.contains(own);
        *own == parser || ALIKE.iter().any(alike)
    };
    own.is_none_or(|own| own.iter().any(reads))
}

/// The parsers for the format that the model writes, `None` where nothing is known about it. `model_type` beats the
/// name; where it leaves several, the name decides among them.
fn own_parsers(server: &SimConfig) -> Option<Vec<&'static str>> {
    let by_name = server.family().map(|family| family.tool_parser);
    let by_type = server
        .model_type
        .as_deref()
        .and_then(families::tool_parsers_of_type);
    match (by_type, by_name) {
        (Some(types), Some(Some(name))) if types.contains(&name) => Some(vec![name]),
        (Some(types), _) => Some(types.to_vec()),
        (None, Some(name)) => Some(name.into_iter().collect()),
        (None, None) => None,
    }
}

/// The call as the model writes it.
fn native(server: &SimConfig, call: &Call) -> String {
    let Call { name, arguments } = call;
    let pairs = arguments.as_object().into_iter().flatten();
    let own = own_parsers(server).and_then(|own| own.first().copied());
    match own.unwrap_or("hermes") {
        "qwen3_coder" | "qwen3_xml" => {
            let show = |value: &Value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            };
            let parameters: Vec<String> = pairs
                .map(|(key, value)| format!("<parameter={key}>\n{}\n</parameter>\n", show(value)))
                .collect();
            let parameters = parameters.concat();
            format!("<tool_call>\n<function={name}>\n{parameters}</function>\n</tool_call>")
        }
        "llama3_json" | "llama4_json" => json!({"name": name, "parameters": arguments}).to_string(),
        "mistral" => format!(
            "[TOOL_CALLS]{}",
            json!([{"name": name, "arguments": arguments}])
        ),
        "pythonic" | "llama4_pythonic" => {
            let parameters: Vec<String> =
                pairs.map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{name}({})]", parameters.join(", "))
        }
        _ => format!(
            "<tool_call>\n{}\n</tool_call>",
            json!({"name": name, "arguments": arguments})
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(model: &str, parser: &str, release: &str) -> SimConfig {
        SimConfig {
            release: release.parse().unwrap(),
            auto_tool_choice: true,
            tool_parser: Some(parser.to_owned()),
            ..SimConfig::new(model, "127.0.0.1", 0)
        }
    }

    fn shown(server: &SimConfig, stream: bool) -> Result<Rendered, ApiError> {
        let call = Call {
            name: "search".to_owned(),
            arguments: json!({"query": "why"}),
        };
        render(server, &Choice::Auto, Answer::Call(call), stream)
    }

    #[test]
    fn the_right_parser_gives_a_tool_call() {
        for (model, parser) in [
            ("Qwen/Qwen3-8B", "hermes"),
            ("openai/gpt-oss-20b", "openai"),
            ("mystery", "xlam"),
        ] {
            let rendered = shown(&server(model, parser, "0.12.0"), false).unwrap();
            assert_eq!(
                (rendered.finish, rendered.parsed),
                ("tool_calls", Some(Parsed::ToolCall)),
                "{model}"
            );
        }
    }

    /// What a client sees of a call: whether it is one, the refusal, or what the stream breaks off with.
    fn seen(model: &str, parser: &str, release: &str, stream: bool) -> String {
        let server = server(model, parser, release);
        let error = |error: ApiError| {
            let body = error.body(server.release);
            let body = body.get("error").unwrap_or(&body);
            let (kind, message) = (&body["type"], &body["message"]);
            format!("{} {} {kind} {message}", error.status, body["code"])
        };
        let said = match shown(&server, stream) {
            Err(refused) => error(refused),
            Ok(Rendered {
                breaks: Some(broken),
                ..
            }) => format!("breaks: {}", error(broken)),
            Ok(rendered) if rendered.call.is_some() => "a call".to_owned(),
            Ok(rendered) => format!("text {}", json!(rendered.content)),
        };
        let how = if stream { "streamed" } else { "whole" };
        format!("{release} {how}: {said}")
    }

    fn by_release(model: &str, parser: &str, releases: &[&str]) -> String {
        let both =
            |release: &&str| [false, true].map(|stream| seen(model, parser, release, stream));
        let all: Vec<String> = releases.iter().flat_map(both).collect();
        all.join("\n")
    }

    const RELEASES: &[&str] = &[
        "0.10.1", "0.10.2", "0.14.1", "0.15.0", "0.16.0", "0.20.2", "0.24.0", "0.32.0",
    ];

    #[test]
    fn gpt_oss_with_another_parser_fails_until_0_24() {
        insta::assert_snapshot!(by_release("openai/gpt-oss-20b", "hermes", RELEASES), @r#"
        0.10.1 whole: a call
        0.10.1 streamed: a call
        0.10.2 whole: 500 500 "Internal Server Error" "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'"
        0.10.2 streamed: a call
        0.14.1 whole: 500 500 "Internal Server Error" "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'"
        0.14.1 streamed: a call
        0.15.0 whole: 200 400 "BadRequestError" "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'"
        0.15.0 streamed: a call
        0.16.0 whole: 200 400 "BadRequestError" "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'"
        0.16.0 streamed: a call
        0.20.2 whole: 400 400 "BadRequestError" "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'"
        0.20.2 streamed: a call
        0.24.0 whole: a call
        0.24.0 streamed: a call
        0.32.0 whole: a call
        0.32.0 streamed: a call
        "#);
    }

    #[test]
    fn the_openai_parser_reads_no_other_model() {
        insta::assert_snapshot!(by_release("Qwen/Qwen3-8B", "openai", RELEASES), @r#"
        0.10.1 whole: 500 500 "Internal Server Error" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.10.1 streamed: breaks: 400 400 "BadRequestError" "Not being used, manual parsing in serving_chat.py"
        0.10.2 whole: 500 500 "Internal Server Error" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.10.2 streamed: breaks: 400 400 "BadRequestError" "Not being used, manual parsing in serving_chat.py"
        0.14.1 whole: 500 500 "Internal Server Error" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.14.1 streamed: breaks: 400 400 "BadRequestError" "Not being used, manual parsing in serving_chat.py"
        0.15.0 whole: 200 501 "NotImplementedError" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.15.0 streamed: breaks: 501 501 "NotImplementedError" "Not being used, manual parsing in serving_chat.py"
        0.16.0 whole: 200 501 "NotImplementedError" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.16.0 streamed: breaks: 501 501 "NotImplementedError" "Not being used, manual parsing in serving_chat.py"
        0.20.2 whole: 501 501 "NotImplementedError" "OpenAIToolParser requires token IDs and does not support text-based extraction."
        0.20.2 streamed: breaks: 501 501 "NotImplementedError" "Not being used, manual parsing in serving_chat.py"
        0.24.0 whole: 501 501 "NotImplementedError" "GptOssToolParser is a stub. Use HarmonyParser for tool parsing."
        0.24.0 streamed: breaks: 501 501 "NotImplementedError" "GptOssToolParser is a stub. Use HarmonyParser for tool parsing."
        0.32.0 whole: 501 501 "NotImplementedError" "GptOssToolParser is a stub. Use HarmonyParser for tool parsing."
        0.32.0 streamed: breaks: 501 501 "NotImplementedError" "GptOssToolParser is a stub. Use HarmonyParser for tool parsing."
        "#);
    }

    #[test]
    fn a_call_that_the_parser_does_not_read_stays_text() {
        let pairs = [
            ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "hermes"),
            ("Qwen/Qwen3-8B", "qwen3_coder"),
            ("Qwen/Qwen3-8B", "llama3_json"),
            ("meta-llama/Llama-3.1-8B-Instruct", "hermes"),
            ("mistralai/Mistral-7B-Instruct-v0.3", "hermes"),
            ("Qwen/Qwen3-8B", "mistral"),
        ];
        let said = pairs.map(|(model, parser)| {
            let said = by_release(model, parser, &["0.12.0", "0.32.0"]);
            format!("{model} {parser}\n{said}")
        });
        insta::assert_snapshot!(said.join("\n"), @r#"
        Qwen/Qwen3-Coder-30B-A3B-Instruct hermes
        0.12.0 whole: text "<tool_call>\n<function=search>\n<parameter=query>\nwhy\n</parameter>\n</function>\n</tool_call>"
        0.12.0 streamed: text "<tool_call>\n<function=search>\n<parameter=query>\nwhy\n</parameter>\n</function>\n</tool_call>"
        0.32.0 whole: text "<tool_call>\n<function=search>\n<parameter=query>\nwhy\n</parameter>\n</function>\n</tool_call>"
        0.32.0 streamed: text "<tool_call>\n<function=search>\n<parameter=query>\nwhy\n</parameter>\n</function>\n</tool_call>"
        Qwen/Qwen3-8B qwen3_coder
        0.12.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.12.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        Qwen/Qwen3-8B llama3_json
        0.12.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.12.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        meta-llama/Llama-3.1-8B-Instruct hermes
        0.12.0 whole: text "{\"name\":\"search\",\"parameters\":{\"query\":\"why\"}}"
        0.12.0 streamed: text "{\"name\":\"search\",\"parameters\":{\"query\":\"why\"}}"
        0.32.0 whole: text "{\"name\":\"search\",\"parameters\":{\"query\":\"why\"}}"
        0.32.0 streamed: text "{\"name\":\"search\",\"parameters\":{\"query\":\"why\"}}"
        mistralai/Mistral-7B-Instruct-v0.3 hermes
        0.12.0 whole: text "[TOOL_CALLS][{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}]"
        0.12.0 streamed: text "[TOOL_CALLS][{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}]"
        0.32.0 whole: text "[TOOL_CALLS][{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}]"
        0.32.0 streamed: text "[TOOL_CALLS][{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}]"
        Qwen/Qwen3-8B mistral
        0.12.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.12.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 whole: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        0.32.0 streamed: text "<tool_call>\n{\"name\":\"search\",\"arguments\":{\"query\":\"why\"}}\n</tool_call>"
        "#);
    }

    #[test]
    fn a_silent_mismatch_leaves_the_raw_call_in_the_text() {
        let rendered = shown(
            &server("Qwen/Qwen3-Coder-30B-A3B-Instruct", "hermes", "0.12.0"),
            false,
        )
        .unwrap();
        assert_eq!((rendered.call, rendered.finish), (None, "stop"));
        insta::assert_snapshot!(rendered.content.unwrap(), @r"
        <tool_call>
        <function=search>
        <parameter=query>
        why
        </parameter>
        </function>
        </tool_call>
        ");
    }

    #[test]
    fn the_model_type_beats_the_name() {
        let typed = |model_type: &str, model: &str, parser: &str| {
            let mut server = server(model, parser, "0.12.0");
            server.model_type = Some(model_type.to_owned());
            shown(&server, false).unwrap().call.is_some()
        };
        assert!(typed("qwen3", "/models/tiny", "hermes"));
        assert!(!typed("qwen3", "/models/tiny", "llama3_json"));
        assert!(typed("qwen3_moe", "/models/tiny", "qwen3_coder"));
        assert!(!typed(
            "qwen3_moe",
            "Qwen/Qwen3-Coder-30B-A3B-Instruct",
            "hermes"
        ));
    }

    #[test]
    fn tools_without_the_flags_are_refused() {
        let bare = SimConfig::new("Qwen/Qwen3-8B", "127.0.0.1", 0);
        assert!(check_choice(&bare, &Choice::Auto).is_err());
        assert!(check_choice(&bare, &Choice::Required).is_ok());
        assert!(check_choice(&bare, &Choice::None).is_ok());
    }
}
