//! Parsers, flags, context.

use insta::assert_snapshot;
use serde_json::json;

use super::{BASE, codes, fine, said, said_of, said_with};
use crate::facts::{Known, ModelFiles};
use crate::plan::plan_tests::facts;

fn model(rest: &str) -> String {
    format!(
        "models:\n  m:\n    node: n\n    {}\n",
        rest.replace("; ", "\n    ")
    )
}

/// What a folder of this machine says of a model.
fn files(config: serde_json::Value) -> Known<ModelFiles> {
    Known::Known(ModelFiles {
        folder: "/ckpt/m".to_owned(),
        config,
        weight_bytes: None,
    })
}

/// As [`model`], with another release.
fn at(release: &str, rest: &str) -> String {
    let base = BASE.replace("0.12.0", release);
    said_of(&format!("{base}{}", model(rest)), &facts())
}

#[test]
fn gpt_oss_needs_its_own_parser() {
    let hermes = "model: openai/gpt-oss-20b; tools: true; tool_parser: hermes";
    assert_snapshot!(said(&model(hermes)), @r"
    error[E0401]: parser `hermes` does not understand gpt-oss
      --> a.yaml:10:18
       |
     8 |     model: openai/gpt-oss-20b
       |            ------------------ a model of the family gpt-oss
     9 |     tools: true
    10 |     tool_parser: hermes
       |                  ^^^^^^ every tool call would be answered with HTTP 500
       |
    help: use `openai`
       |
    10 -     tool_parser: hermes
    10 +     tool_parser: openai
       |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(at("0.24.0", hermes), @r"
    warning[W0402]: parser `hermes` is not for gpt-oss, and is ignored
      --> a.yaml:10:18
       |
     8 |     model: openai/gpt-oss-20b
       |            ------------------ a model of the family gpt-oss
     9 |     tools: true
    10 |     tool_parser: hermes
       |                  ^^^^^^ vLLM takes its own parser for this model since 0.24
       |
    help: use `openai`
       |
    10 -     tool_parser: hermes
    10 +     tool_parser: openai
       |

    warning: 1 warning in a.yaml
    ");
    fine(&model("model: openai/gpt-oss-20b; tools: true"));
}

#[test]
fn families_of_the_log_and_their_neighbours() {
    for (name, parser) in [
        ("/ckpt/nvidia/Nemotron-Orchestrator-8B/", "hermes"),
        ("Qwen/Qwen3-32B-FP8", "hermes"),
        ("openai/gpt-oss-120b", "openai"),
        (
            "meta-llama/Llama-3.1-8B-Instruct; chat_template: t.jinja",
            "llama3_json",
        ),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3_coder"),
    ] {
        fine(&model(&format!(
            "model: {name}; tools: true; tool_parser: {parser}"
        )));
    }
    assert_snapshot!(said(&model("model: Qwen/Qwen3-Coder-30B-A3B-Instruct; tools: true; tool_parser: hermes")), @r"
    error[E0401]: parser `hermes` does not understand qwen3-coder
      --> a.yaml:10:18
       |
     8 |     model: Qwen/Qwen3-Coder-30B-A3B-Instruct
       |            --------------------------------- a model of the family qwen3-coder
     9 |     tools: true
    10 |     tool_parser: hermes
       |                  ^^^^^^ tool calls would come back as plain text
       |
    help: use `qwen3_coder`
       |
    10 -     tool_parser: hermes
    10 +     tool_parser: qwen3_coder
       |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; tools: true; tool_parser: xlam")), @r"
    warning[W0406]: nothing says that parser `xlam` understands qwen3
      --> a.yaml:10:18
       |
     8 |     model: Qwen/Qwen3-8B
       |            ------------- a model of the family qwen3
     9 |     tools: true
    10 |     tool_parser: xlam
       |                  ^^^^ neither documented nor known to fail
       |
    help: use `hermes`
       |
    10 -     tool_parser: xlam
    10 +     tool_parser: hermes
       |

    warning: 1 warning in a.yaml
    ");
}

#[test]
fn releases_have_parsers() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; tools: true; tool_parser: hermez")), @r"
    error[E0403]: vLLM 0.12.0 has no tool-call parser `hermez`
      --> a.yaml:10:18
       |
    10 |     tool_parser: hermez
       |                  ^^^^^^ not seen in any release
       |
       = help: the server would exit at its start, after a minute of imports
    help: did you mean `hermes`?
       |
    10 -     tool_parser: hermez
    10 +     tool_parser: hermes
       |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(at("0.9.2", "model: openai/gpt-oss-20b; tools: true"), @r#"
    error[E0403]: vLLM 0.9.2 has no tool-call parser `openai`
     --> a.yaml:9:12
      |
    9 |     tools: true
      |            ^^^^ seen from 0.10.2 to 0.33.0
      |
      = help: the server would exit at its start, after a minute of imports

    warning[W0407]: gpt-oss needs vLLM 0.10.1 or later
     --> a.yaml:8:12
      |
    3 | vllm: { version: "0.9.2" }
      |                  ------- this is 0.9.2
    ...
    8 |     model: openai/gpt-oss-20b
      |            ^^^^^^^^^^^^^^^^^^ a later architecture

    error: 1 error, 1 warning in a.yaml
    "#);
    assert_snapshot!(at("0.30.0", "model: Qwen/Qwen3-8B; tools: true; tool_parser: qwen3_json"), @r"
    note[N0405]: it is not known whether vLLM 0.30.0 has the tool-call parser `qwen3_json`
      --> a.yaml:10:18
       |
    10 |     tool_parser: qwen3_json
       |                  ^^^^^^^^^^ seen from 0.32.0 to 0.33.0

    warning[W0406]: nothing says that parser `qwen3_json` understands qwen3
      --> a.yaml:10:18
       |
     8 |     model: Qwen/Qwen3-8B
       |            ------------- a model of the family qwen3
     9 |     tools: true
    10 |     tool_parser: qwen3_json
       |                  ^^^^^^^^^^ neither documented nor known to fail
       |
    help: use `hermes`
       |
    10 -     tool_parser: qwen3_json
    10 +     tool_parser: hermes
       |

    warning: 1 warning, 1 note in a.yaml
    ");
    assert_snapshot!(said(&model("model: /ckpt/mystery; tools: true")), @r"
    error[E0404]: no tool-call parser is known for `/ckpt/mystery`
     --> a.yaml:9:12
      |
    9 |     tools: true
      |            ^^^^ needs a parser
      |
      = help: name one with `tool_parser: NAME` (for a fine-tuned model the one of its base model), or remove `tools`

    error: 1 error in a.yaml
    ");
}

#[test]
fn config_json_beats_the_name() {
    let mut facts = facts();
    facts
        .models
        .insert("m".into(), files(json!({ "model_type": "gpt_oss" })));
    let yaml = model("model: /ckpt/mystery; tools: true");
    assert_eq!(codes(&yaml, &facts), [""; 0]);
    let yaml = model("model: /ckpt/mystery; tools: true; tool_parser: hermes");
    assert_eq!(codes(&yaml, &facts), ["E0401"]);
}

#[test]
fn thinking_that_only_the_client_can_switch_off() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-32B-FP8; thinking: false")), @r#"
    note[N0408]: the client itself must keep `m` from thinking
     --> a.yaml:9:15
      |
    9 |     thinking: false
      |               ^^^^^ vLLM 0.12.0 has no server-side switch
      |
      = help: each request needs `chat_template_kwargs: {"enable_thinking": false}`; a probe proves that it works, not that the client sends it

    note: 1 note in a.yaml
    "#);
    assert_snapshot!(at("0.14.1", "model: Qwen/Qwen3-32B-FP8; thinking: false"), @"");
}

#[test]
fn flags_of_the_release() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }")), @r#"
    error[E0416]: flag `max-num-batched-tokens` cannot be switched off: there is no `--no-` form of it
     --> a.yaml:9:141
      |
    9 | ...1, port: 80, max-num-batched-tokens: false }
      |                                         ^^^^^ `false` would give a flag that vLLM does not know
      |
      = help: remove the line: a flag that is not given is off

    error[E0410]: vLLM 0.12.0 has no flag `--max-num-sequences`
     --> a.yaml:9:13
      |
    9 |     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-t...
      |             ^^^^^^^^^^^^^^^^^ not a flag of any release
      |
      = help: the server would exit at its start with code 2
    help: did you mean `--max-num-seqs`?
      |
    9 -     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }
    9 +     args: { max-num-seqs: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }
      |

    error[E0411]: vLLM 0.12.0 has no flag `--guided-decoding-backend` any more
     --> a.yaml:9:35
      |
    9 |     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-t...
      |                                   ^^^^^^^^^^^^^^^^^^^^^^^ last seen in 0.10.2
      |
      = help: write --structured-outputs-config '{"backend":"xgrammar"}' (or --structured-outputs-config.backend xgrammar)

    error[E0412]: flag `--max-num-seqs` does not take `"many"`
     --> a.yaml:9:84
      |
    9 |     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-t...
      |                                                                                    ^^^^ it takes a whole number
      |
      = help: the server would exit at its start with code 2

    warning[W0413]: "bfloat61" is not a choice of `--dtype`
     --> a.yaml:9:97
      |
    9 | ...r, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }
      |                                  ^^^^^^^^ vLLM 0.32 takes auto, bfloat16, float, float16, float32, half
      |
    help: did you mean `bfloat16`?
      |
    9 -     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }
    9 +     args: { max_num_sequences: 8, guided_decoding_backend: xgrammar, max-num-seqs: many, dtype: bfloat16, port: 80, max-num-batched-tokens: false }
      |

    error[E0414]: flag `--port` has a key of its own
     --> a.yaml:9:107
      |
    9 | ...rammar, max-num-seqs: many, dtype: bfloat61, port: 80, max-num-batched-tokens: false }
      |                                                 ^^^^ write `port:` in the model instead
      |
      = help: the plan reckons with that key: placement, context and ports would not see this flag

    error: 5 errors, 1 warning in a.yaml
    "#);
    fine(&model(
        "model: Qwen/Qwen3-8B; args: { max-num-seqs: 64, enforce_eager: true, dtype: bfloat16, enable-prefix-caching: false, max-num-batched-tokens: 8k, hf-overrides: { a: 1 }, allowed-origins: [a, b] }",
    ));
}

#[test]
fn without_a_release_little_can_be_said() {
    let yaml = BASE.replace("vllm: { version: \"0.12.0\" }\n", "");
    assert_snapshot!(said_of(&format!("{yaml}{}", model("model: Qwen/Qwen3-8B; args: { nonsense: 1 }")), &facts()), @r#"
    note[N0418]: no vLLM release is written: flags and parsers are not checked against one
     --> a.yaml:5:3
      |
    5 |   m:
      |   ^ which release serves it?
      |
      = help: `vllm: { version: "0.12.0" }`, at the top or for a model; `vllm --version` prints it

    note: 1 note in a.yaml
    "#);
}

#[test]
fn prompts_fit() {
    let eval = |prompt: u32| {
        format!(
            "evals:\n  e:\n    command: [x]\n    results: r\n    finished: {{ count: 1 }}\n    context: {{ m: {{ prompt: {prompt}, output: 8000 }} }}\n"
        )
    };
    let of = |prompt| {
        format!(
            "{}{}",
            model("model: Qwen/Qwen3-32B-FP8; max_model_len: 32768"),
            eval(prompt)
        )
    };
    assert_snapshot!(said(&of(80_034)), @r"
    error[E0420]: the evaluation sends `m` more than it can hold
      --> a.yaml:15:19
       |
     9 |     max_model_len: 32768
       |                    ----- the server holds 32768
    ...
    15 |     context: { m: { prompt: 80034, output: 8000 } }
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 80034 + 8000 = 88034 tokens
       |
       = help: raise `max_model_len` if the model allows it, or let the client send less; each longer request would be refused with HTTP 400

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&of(24_000)), @r"
    note[N0422]: only 768 tokens are left between the evaluation and `m`
      --> a.yaml:15:19
       |
     9 |     max_model_len: 32768
       |                    ----- the server holds 32768
    ...
    15 |     context: { m: { prompt: 24000, output: 8000 } }
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 24000 + 8000 = 32000 tokens
       |
       = help: a client that counts with another tokenizer may send more than it thinks

    note: 1 note in a.yaml
    ");
    fine(&of(20_000));
    assert_snapshot!(said(&format!("{}{}", model("model: /ckpt/mystery"), eval(9))), @r"
    note[N0421]: the context length of a server is not known before it runs
      --> a.yaml:14:19
       |
    14 |     context: { m: { prompt: 9, output: 8000 } }
       |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^ asked of the running server
       |
       = help: `max_model_len` would settle it now; otherwise the server is asked before the evaluation starts, and refused if it is too short

    note: 1 note in a.yaml
    ");
}

#[test]
fn a_context_longer_than_the_model_s() {
    let mut facts = facts();
    facts.models.insert(
        "m".into(),
        files(json!({ "max_position_embeddings": 2048 })),
    );
    let yaml = model("model: /ckpt/tiny; max_model_len: 99999");
    assert_snapshot!(said_with(&yaml, &facts), @r#"
    error[E0423]: `max_model_len` of `m` is more than the model was made for
     --> a.yaml:9:20
      |
    8 |     model: /ckpt/tiny
      |            ---------- `/ckpt/m/config.json` allows 2048
    9 |     max_model_len: 99999
      |                    ^^^^^ 99999 tokens
      |
      = help: vLLM refuses to start; `VLLM_ALLOW_LONG_MAX_MODEL_LEN: "1"` in `env.set` insists
    help: use all that the model has, 2048
      |
    9 -     max_model_len: 99999
    9 +     max_model_len: 2048
      |

    error: 1 error in a.yaml
    "#);
    assert_eq!(
        codes(&model("model: /ckpt/tiny; max_model_len: 2048"), &facts),
        [""; 0]
    );
}

#[test]
fn a_model_newer_than_the_release() {
    assert_snapshot!(at("0.8.5", "model: openai/gpt-oss-20b"), @r#"
    warning[W0407]: gpt-oss needs vLLM 0.10.1 or later
     --> a.yaml:8:12
      |
    3 | vllm: { version: "0.8.5" }
      |                  ------- this is 0.8.5
    ...
    8 |     model: openai/gpt-oss-20b
      |            ^^^^^^^^^^^^^^^^^^ a later architecture

    warning: 1 warning in a.yaml
    "#);
}

#[test]
fn tools_and_no_tools() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; tools: false; tool_parser: hermes")), @r"
    error[E0424]: `m` has a parser for tools that it shall not call
      --> a.yaml:10:18
       |
     9 |     tools: false
       |            ----- no tools
    10 |     tool_parser: hermes
       |                  ^^^^^^ would not be used
       |
       = help: remove one of the two

    error: 1 error in a.yaml
    ");
    fine(&model("model: Qwen/Qwen3-8B; tools: false"));
}

#[test]
fn the_client_s_keys() {
    assert_snapshot!(said(&model("model: ~/ckpt/Qwen3-8B")), @r"
    error[E0426]: the name of a model is taken byte for byte: `~/ckpt/Qwen3-8B`
     --> a.yaml:8:12
      |
    8 |     model: ~/ckpt/Qwen3-8B
      |            ^^^^^^^^^^^^^^^ no shell will fill this in
      |
      = help: write the whole path: it is what the server answers to and the client's key

    error: 1 error in a.yaml
    ");
    let two = "client_config: { format: toolorchestra, path: c.json }\nmodels:\n  a: { model: Qwen/Qwen3-8B, node: n }\n  b: { model: Qwen/Qwen3-8B, node: n }\n";
    assert_snapshot!(said(two), @r"
    error[E0427]: `a` and `b` have one key for the client
     --> a.yaml:8:15
      |
    7 |   a: { model: Qwen/Qwen3-8B, node: n }
      |               ------------- the same
    8 |   b: { model: Qwen/Qwen3-8B, node: n }
      |               ^^^^^^^^^^^^^ `Qwen/Qwen3-8B`
      |
      = help: one would replace the other in the client's configuration: make them one model with `node: [A, B]`, or give one a `served_name`

    error: 1 error in a.yaml
    ");
    fine(&two.replace("n }\n  b", "n, served_name: small }\n  b"));
}

/// What vLLM 0.32 itself derives from these files.
#[test]
fn lengths_that_rope_makes_longer() {
    let length = |config: serde_json::Value| {
        let mut facts = facts();
        facts.models.insert("m".into(), files(config));
        let said = said_with(&model("model: /ckpt/tiny; max_model_len: 99999999"), &facts);
        let (_, rest) = said.split_once("allows ")?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let deepseek = json!({ "max_position_embeddings": 163_840, "rope_scaling": { "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096 } });
    assert_eq!(length(deepseek), Some(163_840));
    let longer = json!({ "max_position_embeddings": 32768, "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768 } });
    assert_eq!(length(longer), Some(131_072));
    let llama = json!({ "max_position_embeddings": 131_072, "rope_scaling": { "rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192 } });
    assert_eq!(length(llama), Some(131_072));
    let linear = json!({ "text_config": { "max_position_embeddings": 4096, "rope_scaling": { "type": "linear", "factor": 2.0 } } });
    assert_eq!(length(linear), Some(8192));
    assert_eq!(
        length(json!({ "max_position_embeddings": 2048, "model_max_length": 8192 })),
        Some(8192)
    );
    assert_eq!(
        length(json!({ "model_type": "step3p7", "max_position_embeddings": 65536 })),
        None
    );
}

#[test]
fn of_many_mistakes_the_gravest_hundred_are_shown() {
    use std::fmt::Write as _;
    let mut yaml = "models:\n  a:\n    model: Qwen/Qwen3-8B\n    node: n\n    args:\n".to_owned();
    for flag in 0..2000 {
        writeln!(yaml, "      no-such-{flag}: 1").unwrap();
    }
    let said = said(&yaml);
    assert_eq!(said.matches("error[E0410]").count(), 100);
    let end: Vec<&str> = said.trim_end().lines().rev().take(3).collect();
    assert_eq!(
        end,
        [
            "error: 2000 errors in a.yaml",
            "",
            "note: 1900 more are not shown here; `--format json` has them all"
        ]
    );
}
