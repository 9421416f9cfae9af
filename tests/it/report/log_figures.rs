//! The figures that the evaluation log's own tables lead to, from bare results and a log of calls.

use std::fmt::Write as _;

use super::{Place, Said};

/// 1900 results and 5318 calls, with the means of the log.
fn log(place: &Place) {
    let mut results = String::new();
    for n in 0..1900 {
        let mut responses = Vec::new();
        let mut say = |tool: &str, model: &str, times: &str| {
            responses.push(format!(
                r#"{{"tool": "{tool}", "model": "{model}", {times}}}"#
            ));
        };
        if n < 400 {
            say(
                "search",
                "openai/gpt-oss-20b",
                r#""_query_llm_ms": 2500, "_retrieval_ms": 5500"#,
            );
        }
        if n < 500 {
            say(
                "answer",
                "Qwen/Qwen3-32B-FP8",
                r#""_expert_ms": 32700, "_judge_ms": 1800"#,
            );
        }
        if n < 270 {
            say(
                "enhance_reasoning",
                "Qwen/Qwen2.5-Coder-14B",
                r#""_llm_ms": 8000, "_exec_ms": 3500"#,
            );
        }
        let _ = writeln!(
            results,
            r#"{{"id": "q{n}", "correct": true, "all_tool_responses": {{"turn_0_response": [{}]}}}}"#,
            responses.join(", ")
        );
    }
    place.write("night.jsonl", &results);
    let call = |n: u64| {
        let port = 1800 + n % 4;
        format!(
            "{{\"event\": \"response\", \"model\": \"/ckpt/o/\", \"base_url\": \"http://h:{port}/v1\", \"duration_s\": 80.7, \"error\": null}}\n"
        )
    };
    place.write("calls.jsonl", &(0..5318).map(call).collect::<String>());
}

/// What limits it, as the report says it.
fn limits(said: &Said) -> &str {
    assert_eq!(said.code, 0, "{}", said.err);
    let (_, rest) = said.out.split_once("what limits it\n").unwrap();
    rest.split_once("\nadvice\n").unwrap().0
}

#[test]
fn bare_results_and_a_log_of_calls_say_what_the_log_of_the_evaluation_says() {
    let place = Place::new();
    log(&place);
    let args = ["night.jsonl", "--call-log", "calls.jsonl"];
    insta::assert_snapshot!(limits(&place.report(&args)), @r"
    limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
      /ckpt/o/                not known  94.8 % of the known time on 4 replicas
      Qwen/Qwen2.5-Coder-14B  not known  0.5 % of the known time
      Qwen/Qwen3-32B-FP8      not known  3.6 % of the known time
      openai/gpt-oss-20b      not known  0.2 % of the known time
    /ckpt/o/ takes 94.8 % of the time that is accounted for, 2.8 calls a question
    ");
    let args = [&args[..], &["--concurrency", "64"]].concat();
    insta::assert_snapshot!(limits(&place.report(&args)), @r"
    limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
      /ckpt/o/                not known  60.7 calls under way on 4 replicas, by the client's times
      Qwen/Qwen2.5-Coder-14B  not known  0.31 calls under way, by the client's times
      Qwen/Qwen3-32B-FP8      not known  2.3 calls under way, by the client's times
      openai/gpt-oss-20b      not known  0.14 calls under way, by the client's times
    /ckpt/o/ takes 94.8 % of the time that is accounted for, 2.8 calls a question; with this many questions at once the run takes 1.96 h at least
    ");
    let gpus = [
        "--gpus",
        "/ckpt/o/=4",
        "--gpus",
        "openai/gpt-oss-20b=4",
        "--gpus",
        "Qwen/Qwen3-32B-FP8=8",
        "--gpus",
        "Qwen/Qwen2.5-Coder-14B=8",
    ];
    let said = place.report(&[&args[..], &gpus].concat());
    insta::assert_snapshot!(limits(&said), @r"
    limited by: not known, because whether calls wait at /ckpt/o/ was not measured, and 95 % of the questions' time is with it
      /ckpt/o/                not known  60.7 calls under way on 4 replicas, by the client's times
      Qwen/Qwen2.5-Coder-14B  idle       0.31 calls under way on 8 replicas, by the client's times
      Qwen/Qwen3-32B-FP8      idle       2.3 calls under way on 8 replicas, by the client's times
      openai/gpt-oss-20b      idle       0.14 calls under way on 4 replicas, by the client's times
    /ckpt/o/ takes 94.8 % of the time that is accounted for, 2.8 calls a question; with this many questions at once the run takes 1.96 h at least
    20 of 24 GPUs serve 2.8 calls at a time
    ");
    let refused = place.report(&["night.jsonl", "--gpus", "coder=4"]);
    assert_eq!(refused.code, 2);
    insta::assert_snapshot!(refused.err, @r"
    error: --gpus coder=4: no call to `coder` is told of
    help: there are calls to Qwen/Qwen2.5-Coder-14B, Qwen/Qwen3-32B-FP8, openai/gpt-oss-20b
    ");
    let refused = place.report(&["night.jsonl", "--gpus", "coder"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("MODEL=N"), "{}", refused.err);
}
