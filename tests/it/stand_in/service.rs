//! `toolorch sim service` over HTTP.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Running;

/// Status and body of one request.
fn ask(service: &Running, method: &str, path: &str, body: &str) -> (u16, String) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = service.exchange(request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunked(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").unwrap();
    }
    out
}

fn post(service: &Running, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) = ask(service, "POST", path, &body.to_string());
    (status, serde_json::from_str(&text).unwrap())
}

fn get(service: &Running, path: &str) -> Value {
    let (status, text) = ask(service, "GET", path, "");
    assert_eq!(status, 200, "{path}");
    serde_json::from_str(&text).unwrap()
}

const FAST: &[&str] = &["service", "--latency", "0ms"];

#[test]
fn a_search_finds_documents_in_the_form_of_toolorchestra() {
    let service = Running::start(
        &[FAST, &["--name", "retrieval", "--tokens", "50"]].concat(),
        &[],
    );
    let body = json!({"queries": ["What is 12 + 30?", "Where is the Oriel clock?"], "topk": 2,
        "return_scores": true, "eid": "q-001"});
    let (status, found) = post(&service, "/retrieve", &body);
    assert_eq!((status, found.as_array().unwrap().len()), (200, 2));
    for documents in found.as_array().unwrap() {
        assert_eq!(documents.as_array().unwrap().len(), 2);
        for found in documents.as_array().unwrap() {
            let text = found["document"]["contents"].as_str().unwrap();
            assert_eq!(found["document"]["content"], text);
            assert!(text.len() > 150, "{text}");
            assert!(found["score"].as_f64().unwrap() > 0.5);
        }
    }
    let first = found[0][0]["document"]["contents"].as_str().unwrap();
    assert!(first.contains("The result of 12 + 30 is 42."), "{first}");
    assert!(found[1].to_string().contains("Oriel"));
    // Elsewhere, and with one query, it finds the same.
    let (_, again) = post(
        &service,
        "/v2/search",
        &json!({"query": "What is 12 + 30?", "topk": 2}),
    );
    assert_eq!(again[0], found[0]);
    let refused = [
        json!({}),
        json!({"queries": [1]}),
        json!([]),
        json!({"queries": vec!["x"; 257]}),
    ]
    .map(|body| post(&service, "/retrieve", &body))
    .map(|(status, body)| format!("{status} {body}"));
    insta::assert_snapshot!(refused.join("\n"), @r#"
    422 {"detail":"`queries` must be a list of strings"}
    422 {"detail":"`queries` must be a list of strings"}
    422 {"detail":"`queries` must be a list of strings"}
    422 {"detail":"more than 256 queries"}
    "#);
}

#[test]
fn the_first_answers_are_slow_and_probes_are_not() {
    let cold = ["--latency", "0ms", "--cold", "6s", "--cold-requests", "2"];
    let service = Running::start(
        &[&["service"], &cold[..]].concat(),
        &[("TOOLORCH_SIM_SPEED", "3")],
    );
    let probed = Instant::now();
    get(&service, "/health");
    assert!(probed.elapsed() < Duration::from_secs(2));
    let times = [0, 1, 2].map(|_| {
        let start = Instant::now();
        post(&service, "/retrieve", &json!({"queries": ["x"]}));
        start.elapsed()
    });
    assert!(times[0] >= Duration::from_secs(2), "{times:?}");
    assert!(times[1] >= Duration::from_secs(1), "{times:?}");
    assert!(times[2] < Duration::from_secs(1), "{times:?}");
}

#[test]
fn the_judge_gives_its_verdict_in_every_form() {
    let service = Running::start(&[FAST, &["--model", "gpt-5"]].concat(), &[]);
    let prompt = |prediction: &str| {
        format!(
            "Write <correct>True</correct> or <correct>False</correct>.\nReference: 42\nPrediction: {prediction}"
        )
    };
    let chat = |prediction: &str| json!({"model": "o9", "messages": [{"role": "user", "content": prompt(prediction)}]});
    for (prediction, verdict) in [
        ("\\boxed{42}", "<correct>True</correct>"),
        ("41", "<correct>False</correct>"),
    ] {
        let (status, whole) = post(&service, "/v1/chat/completions", &chat(prediction));
        assert_eq!((status, &whole["model"]), (200, &json!("o9")));
        assert_eq!(whole["choices"][0]["message"]["content"], verdict);
        assert!(whole["usage"]["total_tokens"].as_u64().unwrap() > 20);

        let mut streamed = chat(prediction);
        streamed["stream"] = json!(true);
        streamed["stream_options"] = json!({"include_usage": true});
        let (_, events) = ask(
            &service,
            "POST",
            "/v1/chat/completions",
            &streamed.to_string(),
        );
        assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
        let chunks: Vec<Value> = events
            .split("\n\n")
            .filter_map(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
            .collect();
        let said = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(said.collect::<String>(), verdict);
        assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);

        let (_, text) = post(
            &service,
            "/v1/completions",
            &json!({"prompt": prompt(prediction)}),
        );
        assert_eq!(
            (&text["choices"][0]["text"], &text["model"]),
            (&json!(verdict), &json!("gpt-5"))
        );
        let (_, response) = post(
            &service,
            "/v1/responses",
            &json!({"input": prompt(prediction)}),
        );
        assert_eq!(response["output"][0]["content"][0]["text"], verdict);
    }
    let (_, other) = post(
        &service,
        "/v1/chat/completions",
        &json!({"messages": [{"role": "user", "content": "Hi"}]}),
    );
    assert!(
        other["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("answer")
    );
}

#[test]
fn probes_and_everything_else_are_answered_and_booked() {
    let service = Running::start(
        &[FAST, &["--name", "judge", "--model", "gpt-5", "gpt-5-mini"]].concat(),
        &[],
    );
    let ids: Vec<Value> = get(&service, "/v1/models")["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].clone())
        .collect();
    assert_eq!(ids, ["gpt-5", "gpt-5-mini"]);
    assert_eq!(get(&service, "/openapi.json")["openapi"], "3.1.0");
    assert_eq!(
        get(&service, "/health?x=1"),
        json!({"status": "ok", "stand_in": "toolorch"})
    );
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(
            ask(&service, method, "/v1/files?key=secret", "x"),
            (200, "{}".to_owned())
        );
    }
    let (_, vectors) = post(
        &service,
        "/v1/embeddings",
        &json!({"input": ["a", "b"], "model": "e"}),
    );
    assert_eq!(
        vectors["data"][1]["embedding"].as_array().unwrap().len(),
        1536
    );
    let (status, complaint) = ask(&service, "POST", "/v1/chat/completions", "{");
    insta::assert_snapshot!(format!("{status} {complaint}"), @r#"
    400 {"error":{"message":"We could not parse the JSON body of your request.","type":"invalid_request_error","param":null,"code":null}}
    "#);
    insta::assert_snapshot!(get(&service, "/sim/books"), @r#"
    {"stand_in":"toolorch","name":"judge","total":8,"requests":{"DELETE /v1/files":1,"GET /health":1,"GET /openapi.json":1,"GET /v1/models":1,"POST /v1/chat/completions":1,"POST /v1/embeddings":1,"POST /v1/files":1,"PUT /v1/files":1},"tokens_in":2,"tokens_out":0}
    "#);
}

#[test]
fn it_ends_at_once_in_the_middle_of_an_answer() {
    let service = Running::start(&["service", "--latency", "10m"], &[]);
    let mut waiting = service.connect();
    waiting
        .write_all(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    while get(&service, "/sim/books")["total"] == 0 {
        std::thread::yield_now();
    }
    assert_eq!(service.terminate(), Some(0));
}

#[test]
fn half_a_request_holds_nobody_up() {
    let service = Running::start(FAST, &[]);
    let mut half = service.connect();
    half.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        .unwrap();
    let noise = service.exchange(&[0x16, 3, 1, 0, 200, 1, 0, 0, b'\r', b'\n', b'\r', b'\n']);
    assert!(
        noise.is_empty() || noise.starts_with("HTTP/1.1 400"),
        "{noise}"
    );
    assert_eq!(get(&service, "/health")["status"], "ok");
}
