//! What differs between releases in the bodies of answers.

use serde_json::{Value, json};

use super::{Server, question, with_tools};

/// The data lines of a streamed answer.
fn streamed(server: &Server, mut body: Value) -> Vec<String> {
    body["stream"] = json!(true);
    let body = Some(body.to_string());
    let (status, text) = server.send(reqwest::Method::POST, "/v1/chat/completions", body);
    assert_eq!(status, 200);
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_was_thought_has_the_names_of_the_release() {
    let model = "Qwen/Qwen3-8B";
    let cases = [
        ("0.10.2", "reasoning_content"),
        ("0.11.2", "reasoning reasoning_content"),
        ("0.15.0", "reasoning reasoning_content"),
        ("0.16.0", "reasoning"),
        ("0.32.0", "reasoning"),
    ];
    for (release, names) in cases {
        let server = Server::start(&[model, "--reasoning-parser", "qwen3"], release);
        let body = question(model, "What is 1 + 1?");
        let has = |value: &Value| -> String {
            let fields = ["reasoning", "reasoning_content"];
            let there = fields.iter().filter(|field| value[**field].is_string());
            there.copied().collect::<Vec<_>>().join(" ")
        };
        let whole = &server.chat(&body).1["choices"][0]["message"];
        assert_eq!(has(whole), names, "{release}");
        let second: Value = serde_json::from_str(&streamed(&server, body)[1]).unwrap();
        assert_eq!(has(&second["choices"][0]["delta"]), names, "{release}");
    }
}

#[test]
fn the_openai_parser_breaks_the_stream_of_another_model() {
    let model = "Qwen/Qwen3-8B";
    let flags = ["--enable-auto-tool-choice", "--tool-call-parser", "openai"];
    let mut said = Vec::new();
    for release in ["0.12.0", "0.24.0"] {
        let server = Server::start(&[&[model], &flags[..]].concat(), release);
        let lines = streamed(&server, with_tools(question(model, "Use search.")));
        said.extend(lines[1..].to_vec());
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    {"error":{"message":"Not being used, manual parsing in serving_chat.py","type":"BadRequestError","param":null,"code":400}}
    [DONE]
    {"error":{"message":"GptOssToolParser is a stub. Use HarmonyParser for tool parsing.","type":"NotImplementedError","param":null,"code":501}}
    [DONE]
    "#);
}
