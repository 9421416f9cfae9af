//! What a simulated model answers where its user said how it behaves.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{HERMES, Server, question, vllm, with_tools};

const MODEL: &str = "Qwen/Qwen2.5-7B-Instruct";

/// A file of so many questions, whose answers are their numbers in words.
fn questions(count: usize) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.jsonl");
    let mut text = String::new();
    for number in 0..count {
        let line = json!({"id": number.to_string(), "question": asked(number), "answer": format!("town {number}")});
        writeln!(text, "{line}").unwrap();
    }
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn asked(number: usize) -> String {
    format!(
        "Where does bus {number} end?\n\nIt is the last one of the day, and nobody on it knows."
    )
}

fn content(body: &Value) -> String {
    let text = &body["choices"][0]["message"]["content"];
    text.as_str().unwrap_or_default().to_owned()
}

/// What a server says to each question, inside a prompt.
fn said(server: &Server, count: usize) -> Vec<String> {
    let ask = |number| {
        let prompt = format!("Problem: {}\nWrite <answer>…</answer>.", asked(number));
        content(&server.chat(&question(MODEL, &prompt)).1)
    };
    (0..count).map(ask).collect()
}

#[test]
fn the_share_of_right_answers_is_the_users_and_every_replica_has_the_same() {
    let (_folder, path) = questions(60);
    let start = |accuracy: &str, seed: &str| {
        let conduct = [
            ("TOOLORCH_SIM_DATASET", path.as_str()),
            ("TOOLORCH_SIM_ACCURACY", accuracy),
            ("TOOLORCH_SIM_SEED", seed),
        ];
        Server::start_with(&[MODEL], "0.12.0", &conduct)
    };
    let right = |said: &[String]| -> Vec<usize> {
        let is_right = |(number, said): (usize, &String)| {
            said.contains(&format!("<answer>town {number}</answer>"))
                .then_some(number)
        };
        said.iter().enumerate().filter_map(is_right).collect()
    };
    let one = said(&start("0.5", "7"), 60);
    assert_eq!(one, said(&start("0.5", "7"), 60));
    let half = right(&one);
    assert!((18..=42).contains(&half.len()), "{half:?}");
    assert_ne!(half, right(&said(&start("0.5", "8"), 60)));
    let more = right(&said(&start("0.8", "7"), 60));
    assert!(
        half.iter().all(|number| more.contains(number)),
        "{half:?} {more:?}"
    );
    assert_eq!(right(&said(&start("1", "7"), 60)).len(), 60);
}

#[test]
fn tools_are_followed_first_and_the_dataset_says_the_rest() {
    let (_folder, path) = questions(3);
    let server = Server::start_with(
        &[&[MODEL], HERMES].concat(),
        "0.12.0",
        &[("TOOLORCH_SIM_DATASET", path.as_str())],
    );
    let mut body = with_tools(question(MODEL, &asked(2)));
    let (_, first) = server.chat(&body);
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let call = first["choices"][0]["message"].clone();
    let id = call["tool_calls"][0]["id"].clone();
    body["messages"].as_array_mut().unwrap().push(call);
    let answered = |result: &str| {
        let mut body = body.clone();
        let result = json!({"role": "tool", "tool_call_id": id, "content": result});
        body["messages"].as_array_mut().unwrap().push(result);
        content(&server.chat(&body).1)
    };
    assert_eq!(answered("nothing found"), "The answer is \\boxed{town 2}.");
    assert_eq!(
        answered("it is \\boxed{town 9}"),
        "The tools agree. The answer is \\boxed{town 9}."
    );
}

#[test]
fn a_refusal_is_a_sentence_and_an_endless_answer_fills_its_room() {
    let refuses = [("TOOLORCH_SIM_REFUSE", "1"), ("TOOLORCH_SIM_RUN_LONG", "1")];
    let server = Server::start_with(&[&[MODEL], HERMES].concat(), "0.12.0", &refuses);
    let (_, body) = server.chat(&with_tools(question(MODEL, "Use search.")));
    assert_eq!(content(&body), "I'm sorry, but I can't help with that.");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");

    let endless = [
        ("TOOLORCH_SIM_RUN_LONG", "1"),
        ("TOOLORCH_SIM_DECODE_RATE", "1000"),
    ];
    let flags = ["--max-model-len", "2048", "--reasoning-parser", "qwen3"];
    let server = Server::start_with(
        &[&["Qwen/Qwen3-8B"], &flags[..]].concat(),
        "0.32.0",
        &endless,
    );
    let mut body = question("Qwen/Qwen3-8B", "Why?");
    body["max_tokens"] = json!(300);
    let (_, cut) = server.chat(&body);
    let choice = &cut["choices"][0];
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(
        choice["message"]["content"],
        Value::Null,
        "it was still thinking"
    );
    assert!(choice["message"]["reasoning"].as_str().unwrap().len() > 900);
    assert_eq!(cut["usage"]["completion_tokens"], 300);
    let took: f64 = server
        .values("vllm:e2e_request_latency_seconds_sum")
        .concat()
        .parse()
        .unwrap();
    assert!(took > 0.28, "300 tokens at 1000 a second: {took}");

    body.as_object_mut().unwrap().remove("max_tokens");
    body["chat_template_kwargs"] = json!({"enable_thinking": false});
    let (_, full) = server.chat(&body);
    assert_eq!(
        full["usage"]["total_tokens"], 2048,
        "to the end of the context"
    );
    assert!(content(&full).starts_with("Wait, let me check"), "{full}");
}

/// The chunks in which a streamed answer comes, as they are on the wire.
#[test]
fn a_streamed_answer_comes_in_few_writes() {
    let endless = [
        ("TOOLORCH_SIM_RUN_LONG", "1"),
        ("TOOLORCH_SIM_DECODE_RATE", "5000"),
    ];
    let server = Server::start_with(&[MODEL], "0.12.0", &endless);
    let mut body = question(MODEL, "Why?");
    body["max_tokens"] = json!(350);
    body["stream"] = json!(true);
    let body = body.to_string();
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    // A chunk begins with its size alone on a line; events begin with `data: `.
    let sizes = text
        .split("\r\n")
        .filter(|line| usize::from_str_radix(line, 16).is_ok());
    let chunks = sizes.count() - 1;
    assert!((10..=20).contains(&chunks), "{chunks}");
    assert!(text.matches("data: ").count() > 350);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_else() {
    let said = |name: &str, value: &str| {
        let output = vllm(&["serve", "m"]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let all = [
        said("TOOLORCH_SIM_DATASET", "/nowhere/hle.jsonl"),
        said("TOOLORCH_SIM_ACCURACY", "80%"),
        said("TOOLORCH_SIM_REFUSE", "1.5"),
        said("TOOLORCH_SIM_RUN_LONG", "NaN"),
    ];
    insta::assert_snapshot!(all.concat(), @r"
    toolorch sim: `TOOLORCH_SIM_DATASET`: `/nowhere/hle.jsonl`: No such file or directory (os error 2)
    toolorch sim: `TOOLORCH_SIM_ACCURACY`: `80%` is not a number from 0 to 1
    toolorch sim: `TOOLORCH_SIM_REFUSE`: `1.5` is not a number from 0 to 1
    toolorch sim: `TOOLORCH_SIM_RUN_LONG`: `NaN` is not a number from 0 to 1
    ");
}
