//! Reasoning parsers, templates, thinking, flags and variables that go against how servers are started.

use insta::assert_snapshot;

use super::{BASE, fine, said, said_of};
use crate::plan::plan_tests::facts;

fn model(rest: &str) -> String {
    format!(
        "models:\n  m:\n    node: n\n    {}\n",
        rest.replace("; ", "\n    ")
    )
}

fn at(release: &str, rest: &str) -> String {
    said_of(
        &format!("{}{}", BASE.replace("0.12.0", release), model(rest)),
        &facts(),
    )
}

#[test]
fn reasoning_parsers() {
    assert_snapshot!(said(&model("model: openai/gpt-oss-20b; reasoning_parser: qwen3")), @r"
    warning[W0443]: nothing says that reasoning parser `qwen3` understands this model
     --> a.yaml:9:23
      |
    8 |     model: openai/gpt-oss-20b
      |            ------------------ a model of the family gpt-oss
    9 |     reasoning_parser: qwen3
      |                       ^^^^^ `openai_gptoss` is the one that is known to
      |
    help: use `openai_gptoss`
      |
    9 -     reasoning_parser: qwen3
    9 +     reasoning_parser: openai_gptoss
      |

    warning: 1 warning in a.yaml
    ");
    assert_snapshot!(said(&model("model: Qwen/Qwen3-4B-Instruct-2507; reasoning_parser: qwen3")), @r"
    warning[W0443]: nothing says that reasoning parser `qwen3` understands this model
     --> a.yaml:9:23
      |
    8 |     model: Qwen/Qwen3-4B-Instruct-2507
      |            --------------------------- a model of the family qwen3-2507-instruct
    9 |     reasoning_parser: qwen3
      |                       ^^^^^ no reasoning to split off is known
      |
      = help: a parser that waits for the end of the reasoning takes whole answers for it, and clients get empty ones: remove it

    warning: 1 warning in a.yaml
    ");
    assert_snapshot!(at("0.20.2", "model: bharatgenai/Param2-17B-A2.4B-Thinking; reasoning_parser: step3"), @r"
    warning[W0443]: nothing says that reasoning parser `step3` understands this model
     --> a.yaml:9:23
      |
    8 |     model: bharatgenai/Param2-17B-A2.4B-Thinking
      |            ------------------------------------- vLLM has a recipe for it
    9 |     reasoning_parser: step3
      |                       ^^^^^ `qwen3` is the one that is known to
      |
    help: use `qwen3`
      |
    9 -     reasoning_parser: step3
    9 +     reasoning_parser: qwen3
      |

    warning: 1 warning in a.yaml
    ");
    fine(&model(
        "model: Qwen/Qwen3-8B; reasoning_parser: deepseek_r1",
    ));
    fine(&model("model: mycorp/agent; reasoning_parser: qwen3"));
}

#[test]
fn templates() {
    assert_snapshot!(said(&model("model: deepseek-ai/DeepSeek-V3.1; tools: true")), @r"
    warning[W0444]: tool calls of this model need a chat template that does not come with it
     --> a.yaml:8:12
      |
    8 |     model: deepseek-ai/DeepSeek-V3.1
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^ vLLM's documentation gives it `examples/tool_chat_template_deepseekv31.jinja`
      |
      = help: `chat_template: PATH`, where PATH is that file on the node (`examples/tool_chat_template_deepseekv31.jinja` in vLLM's sources); without it the model may not see its tools

    warning: 1 warning in a.yaml
    ");
    fine(&model(
        "model: deepseek-ai/DeepSeek-V3.1; tools: true; chat_template: t.jinja",
    ));
    fine(&model("model: deepseek-ai/DeepSeek-V3.1"));
}

#[test]
fn parsers_of_recipes() {
    assert_snapshot!(at("0.20.2", "model: bharatgenai/Param2-17B-A2.4B-Thinking; tools: true; tool_parser: xlam"), @r"
    warning[W0406]: nothing says that parser `xlam` understands this model
      --> a.yaml:10:18
       |
     8 |     model: bharatgenai/Param2-17B-A2.4B-Thinking
       |            ------------------------------------- vLLM's recipe for it says `hermes`
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
    assert_eq!(
        at(
            "0.20.2",
            "model: bharatgenai/Param2-17B-A2.4B-Thinking; tools: true"
        ),
        ""
    );
}

#[test]
fn thinking() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-4B-Thinking-2507; thinking: false")), @r"
    error[E0445]: `m` cannot be kept from thinking
     --> a.yaml:9:15
      |
    8 |     model: Qwen/Qwen3-4B-Thinking-2507
      |            --------------------------- qwen3-2507-thinking always thinks
    9 |     thinking: false
      |               ^^^^^ no switch is known
      |
      = help: take another checkpoint, such as its `Instruct` variant, or remove the line

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&model("model: openai/gpt-oss-20b; thinking: false")), @r"
    error[E0445]: `m` cannot be kept from thinking
     --> a.yaml:9:15
      |
    8 |     model: openai/gpt-oss-20b
      |            ------------------ gpt-oss always thinks
    9 |     thinking: false
      |               ^^^^^ no switch is known
      |
      = help: its requests carry `reasoning_effort`: low, medium or high, never none

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&model("model: Qwen/Qwen2.5-7B-Instruct; thinking: true")), @r"
    error[E0446]: `m` cannot be made to think
     --> a.yaml:9:15
      |
    8 |     model: Qwen/Qwen2.5-7B-Instruct
      |            ------------------------ qwen2.5 is not known to think
    9 |     thinking: true
      |               ^^^^ would have no effect
      |
      = help: remove the line; a template that has a switch takes it from `args: { default-chat-template-kwargs: { … } }`

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&model("model: deepseek-ai/DeepSeek-V3.1; thinking: true")), @r#"
    note[N0408]: the client itself must make `m` think
     --> a.yaml:9:15
      |
    9 |     thinking: true
      |               ^^^^ vLLM 0.12.0 has no server-side switch
      |
      = help: each request needs `chat_template_kwargs: {"thinking": true}`; a probe proves that it works, not that the client sends it

    note: 1 note in a.yaml
    "#);
    fine(&model("model: openai/gpt-oss-20b; thinking: true"));
    fine(&model("model: mycorp/agent; thinking: false"));
    assert_eq!(
        at("0.14.1", "model: deepseek-ai/DeepSeek-V3.1; thinking: true"),
        ""
    );
}

#[test]
fn flags_given_twice() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; args: { max-num-seqs: 8, max_num_seqs: 16 }")), @r"
    error[E0429]: flag `--max-num-seqs` is given twice
     --> a.yaml:9:30
      |
    9 |     args: { max-num-seqs: 8, max_num_seqs: 16 }
      |             ------------     ^^^^^^^^^^^^ the same flag
      |             |
      |             here for the first time
      |
      = help: vLLM would take the last one; remove one of the two

    error: 1 error in a.yaml
    ");
    assert_snapshot!(at("0.14.1", "model: Qwen/Qwen3-8B; thinking: false; args: { default-chat-template-kwargs: { a: 1 } }"), @r"
    error[E0429]: flag `--default-chat-template-kwargs` is given twice
      --> a.yaml:10:13
       |
     9 |     thinking: false
       |               ----- sets it, too
    10 |     args: { default-chat-template-kwargs: { a: 1 } }
       |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the same switch
       |
       = help: write `enable_thinking` beside the others in the flag, and remove `thinking`

    error: 1 error in a.yaml
    ");
    fine(&model(
        "model: Qwen/Qwen3-8B; args: { compilation-config.level: 1, compilation-config.cache_dir: x }",
    ));
}

#[test]
fn flags_against_the_launch() {
    assert_snapshot!(said(&model("model: Qwen/Qwen3-8B; args: { headless: true, data-parallel-rank: 1 }")), @r"
    error[E0419]: flag `--headless` goes against how servers are started here
     --> a.yaml:9:13
      |
    9 |     args: { headless: true, data-parallel-rank: 1 }
      |             ^^^^^^^^ no server would answer on its port
      |
      = help: remove it

    error[E0419]: flag `--data-parallel-rank` goes against how servers are started here
     --> a.yaml:9:29
      |
    9 |     args: { headless: true, data-parallel-rank: 1 }
      |                             ^^^^^^^^^^^^^^^^^^ every server here is whole: `layout: vllm-dp` makes one of several ranks
      |
      = help: remove it

    error: 2 errors in a.yaml
    ");
    fine(&model(
        "model: Qwen/Qwen3-8B; args: { enable-expert-parallel: true }",
    ));
}

#[test]
fn flags_that_are_gone() {
    assert_snapshot!(at("0.28.0", "model: Qwen/Qwen3-8B; args: { cuda-graph-sizes: [1, 2], disable-log-requests: true }"), @r"
    error[E0411]: vLLM 0.28.0 has no flag `--cuda-graph-sizes` any more
     --> a.yaml:9:13
      |
    9 |     args: { cuda-graph-sizes: [1, 2], disable-log-requests: true }
      |             ^^^^^^^^^^^^^^^^ last seen in 0.12.0
      |
      = help: write --cudagraph-capture-sizes
    help: it is called `--cudagraph-capture-sizes` now
      |
    9 -     args: { cuda-graph-sizes: [1, 2], disable-log-requests: true }
    9 +     args: { cudagraph-capture-sizes: [1, 2], disable-log-requests: true }
      |

    error[E0411]: vLLM 0.28.0 has no flag `--disable-log-requests` any more
     --> a.yaml:9:39
      |
    9 |     args: { cuda-graph-sizes: [1, 2], disable-log-requests: true }
      |                                       ^^^^^^^^^^^^^^^^^^^^ last seen in 0.16.0
      |
      = help: remove the line (request logging is off by default since 0.10.x); to turn it on use --enable-log-requests

    error: 2 errors in a.yaml
    ");
}

#[test]
fn code_of_a_checkpoint() {
    assert_snapshot!(said(&model("model: moonshotai/Kimi-K2-Instruct; args: { trust-remote-code: true }")), @r"
    note[N0440]: code that comes with a checkpoint will run on your nodes
     --> a.yaml:9:13
      |
    9 |     args: { trust-remote-code: true }
      |             ^^^^^^^^^^^^^^^^^ trusts whoever can change the repository
      |
      = help: `--trust-remote-code` runs Python files of the model's repository with your rights; `revision: COMMIT` pins what was read

    note: 1 note in a.yaml
    ");
    fine(&model(
        "model: moonshotai/Kimi-K2-Instruct; args: { trust-remote-code: true }",
    ));
}

#[test]
fn variables_of_vllm() {
    let env = "model: Qwen/Qwen3-8B; env: { pass: [VLLM_PORT], set: { VLLM_KEEP_ALIVE_ON_ENGINE_DEATH: \"1\" } }";
    assert_snapshot!(said(&model(env)), @r#"
    warning[W0441]: `VLLM_PORT` reaches the servers of `m`
     --> a.yaml:9:19
      |
    9 |     env: { pass: [VLLM_PORT], set: { VLLM_KEEP_ALIVE_ON_ENGINE_DEATH: "1" } }
      |                   ^^^^^^^^^ it is the base of vLLM's internal ports, not that of its API: servers that share it race for the same ones
      |
      = help: remove it; the port of a server is its `port`

    warning[W0442]: `VLLM_KEEP_ALIVE_ON_ENGINE_DEATH` reaches the servers of `m`
     --> a.yaml:9:71
      |
    9 |     env: { pass: [VLLM_PORT], set: { VLLM_KEEP_ALIVE_ON_ENGINE_DEATH: "1" } }
      |                                                                       ^^^ a server whose engine is dead would go on answering, and be found out late
      |
      = help: remove it; a server that ends is started again

    warning: 2 warnings in a.yaml
    "#);
    fine(&model(
        "model: Qwen/Qwen3-8B; env: { set: { VLLM_USE_V1: \"1\" } }",
    ));
}
