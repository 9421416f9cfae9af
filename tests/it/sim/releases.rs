//! What differs between releases in the bodies of answers.

use serde_json::{Value, json};

use super::{Server, exit, output, question, with_tools};

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

#[test]
fn a_command_line_is_refused_in_the_words_and_at_the_moment_of_the_release() {
    let cases: [(&str, &[&str]); 12] = [
        ("0.8.5", &["serve", "m", "--headless"]),
        ("0.8.5", &["serve", "m", "--enable-reasoning"]),
        ("0.9.2", &["serve", "m", "--no-such-flag"]),
        ("0.10.2", &["serve", "m", "--enable-reasoning"]),
        ("0.12.0", &["serve", "m", "--enable-log-outputs"]),
        ("0.12.0", &["serve", "m", "--reasoning-parser", "qwen4"]),
        ("0.14.1", &["serve", "m", "--task", "generate"]),
        ("0.20.2", &["serve", "m", "--disable-log-requests"]),
        ("0.20.2", &["train"]),
        ("0.32.0", &["serve", "m", "--swap-space", "4"]),
        ("0.32.0", &["serve", "m", "--chat-template", "gone.jinja"]),
        ("0.32.0", &["train"]),
    ];
    let said = cases.map(|(release, args)| {
        let output = output(args, release);
        let (code, out, err) = exit(&output);
        let greeting = if out.is_empty() {
            "nothing"
        } else {
            "its greeting"
        };
        let end = err
            .lines()
            .map(|line| line.chars().take(150).collect::<String>());
        let end = end.collect::<Vec<_>>().join("\n");
        format!(
            "{release} {}: exit {code} after {greeting}\n{end}",
            args.join(" ")
        )
    });
    insta::assert_snapshot!(said.join("\n\n"), @r"
    0.8.5 serve m --headless: exit 2 after nothing
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env} ...
    vllm: error: unrecognized arguments: --headless

    0.8.5 serve m --enable-reasoning: exit 1 after nothing
    Traceback (most recent call last):
      ...
    TypeError: Error: --enable-reasoning requires --reasoning-parser

    0.9.2 serve m --no-such-flag: exit 2 after nothing
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...
    vllm: error: unrecognized arguments: --no-such-flag

    0.10.2 serve m --enable-reasoning: exit 2 after nothing
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...
    vllm: error: unrecognized arguments: --enable-reasoning

    0.12.0 serve m --enable-log-outputs: exit 1 after nothing
    Traceback (most recent call last):
      ...
    TypeError: Error: --enable-log-outputs requires --enable-log-requests

    0.12.0 serve m --reasoning-parser qwen4: exit 1 after its greeting
    Traceback (most recent call last):
      ...
    KeyError: 'invalid reasoning parser: qwen4 (chose from { deepseek_r1,deepseek_v3,ernie45,glm45,granite,hunyuan_a13b,kimi_k2,minimax_m2,minimax_m2_appe

    0.14.1 serve m --task generate: exit 2 after nothing
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...
    vllm: error: unrecognized arguments: --task generate

    0.20.2 serve m --disable-log-requests: exit 2 after nothing
    usage: vllm [-h] [-v]
                {chat,complete,serve,launch,bench,collect-env,run-batch} ...
    vllm: error: unrecognized arguments: --disable-log-requests

    0.20.2 train: exit 2 after nothing
    usage: vllm [-h] [-v]
                {chat,complete,serve,launch,bench,collect-env,run-batch} ...
    vllm: error: argument subparser: invalid choice: 'train' (choose from 'chat', 'complete', 'serve', 'launch', 'bench', 'collect-env', 'run-batch')

    0.32.0 serve m --swap-space 4: exit 2 after nothing
    usage: vllm [-h] [-v]
                {chat,complete,serve,launch,bench,collect-env,download-kernels,preload,run-batch,snapshot}
                ...
    vllm: error: unrecognized arguments: --swap-space 4

    0.32.0 serve m --chat-template gone.jinja: exit 1 after nothing
    Traceback (most recent call last):
      ...
    ValueError: The supplied chat template string (gone.jinja) appears path-like, but doesn't exist!

    0.32.0 train: exit 2 after nothing
    usage: vllm [-h] [-v]
                {chat,complete,serve,launch,bench,collect-env,download-kernels,preload,run-batch,snapshot}
                ...
    vllm: error: argument subparser: invalid choice: 'train' (choose from 'chat', 'complete', 'serve', 'launch', 'bench', 'collect-env', 'download-kernels
    ");
}
