//! Evaluations and datasets.

use insta::assert_snapshot;

use super::{codes, fine, said, said_with};
use crate::facts::{DatasetProblem, DatasetSummary, Facts, Known, OpenFiles, PathKind};
use crate::plan::plan_tests::facts;

const MODEL: &str = "models:\n  m: { model: Qwen/Qwen3-8B, node: n }\n";

fn eval(rest: &str) -> String {
    format!(
        "{MODEL}evals:\n  e:\n    results: r\n    {}\n",
        rest.replace("; ", "\n    ")
    )
}

/// A cluster that ToolOrchestra's clients can use.
fn tool_orchestra(rest: &str) -> String {
    format!(
        "models:\n  orchestrator: {{ model: /ckpt/Nemotron-Orchestrator-8B/, node: n, tools: true }}\n  \
         coder: {{ model: Qwen/Qwen2.5-Coder-14B-Instruct, node: n }}\n  \
         answer: {{ model: Qwen/Qwen3-32B-FP8, node: n }}\n  \
         search: {{ model: openai/gpt-oss-20b, node: n, tools: true }}\n\
         services:\n  retrieval: {{ node: n, port: 8765, command: [x] }}\n\
         externals:\n  judge: {{ url: \"https://api.openai.com/v1\", models: [gpt-5] }}\n\
         client_config: {{ format: toolorchestra, path: c.json }}\n\
         evals:\n  e: {{ adapter: toolorchestra-hle, dataset: d.jsonl, results: r, {rest} }}\n{SHORT_CALLS}"
    )
}

/// A call that hangs is given up before its evaluation is taken for stalled.
const SHORT_CALLS: &str = "env: { set: { TOOL_ORCH_CALL_TIMEOUT_S: \"300\" } }\n";

fn with_dataset(problems: Vec<DatasetProblem>) -> Facts {
    let mut facts = facts();
    let summary = DatasetSummary {
        path: "/site/clusters/d.jsonl".to_owned(),
        ids: vec!["1".to_owned()],
        sha256: String::new(),
        problems,
    };
    facts.datasets.insert("e".into(), Known::Known(summary));
    facts
}

#[test]
fn what_is_wrong_with_every_line_is_said_three_times() {
    let no_id = |line| DatasetProblem::NoId {
        line,
        keys: vec!["question".to_owned()],
    };
    let yaml = eval("command: [x]; dataset: d.jsonl");
    let said = said_with(&yaml, &with_dataset((1..=60).map(no_id).collect()));
    let lines: Vec<&str> = (said.lines())
        .filter(|line| line.starts_with("error") || line.contains("more like"))
        .collect();
    assert_snapshot!(lines.join("\n"), @r"
    error[E0504]: line 1 of the dataset has no id
    error[E0504]: line 2 of the dataset has no id
    error[E0504]: line 3 of the dataset has no id
       = help: and 57 more like these
    error: 3 errors in a.yaml
    ");
}

#[test]
fn what_is_wrong_with_datasets() {
    let all = vec![
        DatasetProblem::Missing,
        DatasetProblem::Unreadable("permission denied".to_owned()),
        DatasetProblem::LfsPointer,
        DatasetProblem::Empty,
        DatasetProblem::NotJson {
            line: 3,
            why: "expected `:`".to_owned(),
        },
        DatasetProblem::NoId {
            line: 4,
            keys: vec!["_id".to_owned(), "question".to_owned()],
        },
        DatasetProblem::DuplicateId {
            id: "7".to_owned(),
            first: 1,
            second: 9,
        },
        DatasetProblem::UnsafeId {
            id: "../x\n".to_owned(),
            line: 5,
        },
    ];
    let yaml = eval("command: [x]; dataset: d.jsonl; tasks: [\"1\", \"2\"]");
    assert_snapshot!(said_with(&yaml, &with_dataset(all)), @r#"
    error[E0501]: the dataset does not exist
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ there is no `/site/clusters/d.jsonl`

    error[E0501]: the dataset cannot be read
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ `/site/clusters/d.jsonl`: permission denied

    error[E0502]: the dataset is a Git-LFS pointer, not the questions
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ `/site/clusters/d.jsonl` was not fetched
       |
       = help: run `git lfs pull` in its repository

    error[E0503]: the dataset has no question
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ `/site/clusters/d.jsonl` is empty

    error[E0503]: line 3 of the dataset is not a JSON object
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ expected `:`
       |
       = help: one JSON object a line; most clients end at the first that is not

    error[E0504]: line 4 of the dataset has no id
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ none of `id`
       |
       = help: its keys are `_id`, `question`; name the one that holds the id in `id_fields`

    error[E0505]: two questions have the id `7`
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ lines 1 and 9
       |
       = help: results are files named after ids: one would overwrite the other

    error[E0506]: the id `../x\n` cannot be a file name
      --> a.yaml:11:14
       |
    11 |     dataset: d.jsonl
       |              ^^^^^^^ line 5
       |
       = help: results are files named after ids; the client would fail, or write somewhere else

    error[E0509]: the dataset has no question `2`
      --> a.yaml:12:18
       |
    12 |     tasks: ["1", "2"]
       |                  ^^^ not in `/site/clusters/d.jsonl`

    error: 9 errors in a.yaml
    "#);
    let yaml = eval("command: [x]; dataset: d.jsonl; tasks: [\"1\"]");
    assert_eq!(codes(&yaml, &with_dataset(Vec::new())), [""; 0]);
}

#[test]
fn something_says_when_it_is_finished() {
    assert_snapshot!(said(&eval("command: [x]")), @r"
    error[E0508]: nothing says when `e` is finished
     --> a.yaml:8:3
      |
    8 |   e:
      |   ^ no `dataset`
      |
      = help: give its `dataset`, or `finished: { count: N }` or `finished: { file: F }`

    error: 1 error in a.yaml
    ");
    fine(&eval("command: [x]; finished: { count: 3 }"));
}

#[test]
fn a_client_is_given() {
    assert_snapshot!(said(&eval("dataset: d.jsonl; adapter: toolorchestra-hel")), @r"
    error[E0511]: there is no adapter `toolorchestra-hel`
      --> a.yaml:11:14
       |
    11 |     adapter: toolorchestra-hel
       |              ^^^^^^^^^^^^^^^^^ not a known client
       |
       = help: any other client: leave `adapter` out and write its `command`
    help: did you mean `toolorchestra-hle`?
       |
    11 -     adapter: toolorchestra-hel
    11 +     adapter: toolorchestra-hle
       |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&eval("dataset: d.jsonl")), @r"
    error[E0512]: the evaluation has neither `command` nor `adapter`
     --> a.yaml:8:3
      |
    8 |   e:
      |   ^ what is the client?
      |
      = help: write its `command`, or name a known client: `adapter: toolorchestra-hle`

    error: 1 error in a.yaml
    ");
}

#[test]
fn placeholders_have_values() {
    assert_snapshot!(said(&eval("dataset: d.jsonl; command: [x, \"{prot}\", \"{concurrency}\", \"{\"]")), @r#"
    error[E0515]: `{prot}` is not a placeholder
      --> a.yaml:11:18
       |
    11 |     command: [x, "{prot}", "{concurrency}", "{"]
       |                  ^^^^^^^^ in this text
       |
       = help: here there are `{name}`, `{results}`, `{dataset}`, `{toolorch}`; write `{{` for a brace

    error[E0516]: `{concurrency}` has no value here
      --> a.yaml:11:28
       |
    11 |     command: [x, "{prot}", "{concurrency}", "{"]
       |                            ^^^^^^^^^^^^^^^ in this text
       |
       = help: here there are `{name}`, `{results}`, `{dataset}`, `{toolorch}`; write `{{` for a brace

    error[E0515]: `{` without `}`
      --> a.yaml:11:45
       |
    11 |     command: [x, "{prot}", "{concurrency}", "{"]
       |                                             ^^^ in this text
       |
       = help: here there are `{name}`, `{results}`, `{dataset}`, `{toolorch}`; write `{{` for a brace

    error: 3 errors in a.yaml
    "#);
    fine(&eval(
        "dataset: d.jsonl; concurrency: 3; command: [x, \"{dataset}{concurrency}{{\"]",
    ));
}

#[test]
fn fewer_questions_after_a_death_are_fewer_and_the_client_hears_of_them() {
    let eval = |concurrency, steps, word| {
        let rest = format!("command: [x, {word}], dataset: d, results: r");
        format!(
            "{MODEL}evals:\n  e: {{ {concurrency}restart: {{ concurrency: [{steps}] }}, {rest} }}\n"
        )
    };
    let many = "concurrency: 64, ";
    let told = r#""--n={concurrency}""#;
    fine(&eval(many, "32, 16", told));
    assert_snapshot!(said(&eval(many, "32, 32", told)), @r#"
        error[E0531]: after a death fewer questions are to be in flight, and these are not fewer
         --> a.yaml:8:54
          |
        8 |   e: { concurrency: 64, restart: { concurrency: [32, 32] }, command: [x, "--n={concurrency}"], dataset: d, results: r }
          |                                                      ^^ not lower than 32
          |
          = help: write `concurrency: 64` and `restart: { concurrency: [32, 16] }`: each lower than the one before

        error: 1 error in a.yaml
        "#);
    assert_snapshot!(said(&eval(many, "0", told)), @r#"
    error[E0531]: after a death fewer questions are to be in flight, and these are not fewer
     --> a.yaml:8:50
      |
    8 |   e: { concurrency: 64, restart: { concurrency: [0] }, command: [x, "--n={concurrency}"], dataset: d, results: r }
      |                                                  ^ no question would be asked
      |
      = help: write `concurrency: 64` and `restart: { concurrency: [32, 16] }`: each lower than the one before

    error: 1 error in a.yaml
    "#);
    assert_snapshot!(said(&eval("", "32", "y")), @r"
    error[E0531]: after a death fewer questions are to be in flight, and these are not fewer
     --> a.yaml:8:33
      |
    8 |   e: { restart: { concurrency: [32] }, command: [x, y], dataset: d, results: r }
      |                                 ^^ the evaluation has no `concurrency`
      |
      = help: write `concurrency: 64` and `restart: { concurrency: [32, 16] }`: each lower than the one before

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said(&eval(many, "32, 16", "y")), @r"
    error[E0531]: the client is not told how many questions may be in flight
     --> a.yaml:8:49
      |
    8 |   e: { concurrency: 64, restart: { concurrency: [32, 16] }, command: [x, y], dataset: d, results: r }
      |                                                 ^^^^^^^^ its command is the same as with 64
      |
      = help: put `{concurrency}` into `command`, where the client reads it

    error: 1 error in a.yaml
    ");
}

#[test]
fn evaluations_do_not_wait_for_each_other() {
    assert_snapshot!(said(&format!("{MODEL}evals:\n  e: {{ command: [x], dataset: d, results: r, after: {{ f: ended }} }}\n  f: {{ command: [x], dataset: d, results: r, after: {{ e: ended }} }}\n")), @r"
    error[E0513]: `e` and `f` wait for each other
     --> a.yaml:8:53
      |
    8 |   e: { command: [x], dataset: d, results: r, after: { f: ended } }
      |                                                     ^^^^^^^^^^^^ `e` waits
    9 |   f: { command: [x], dataset: d, results: r, after: { e: ended } }
      |                                                     ^^^^^^^^^^^^ `f` waits

    error[E0521]: `e` and `f` would write into one another's results
     --> a.yaml:9:43
      |
    8 |   e: { command: [x], dataset: d, results: r, after: { f: ended } }
      |                                           - the same
    9 |   f: { command: [x], dataset: d, results: r, after: { e: ended } }
      |                                           ^ `/site/clusters/r`

    error: 2 errors in a.yaml
    ");
    fine(&format!(
        "{MODEL}evals:\n  e: {{ command: [x], dataset: d, results: r, after: {{ f: ended }} }}\n  f: {{ command: [x], dataset: d, results: s }}\n"
    ));
}

#[test]
fn results_are_no_dataset() {
    let eval = |results: &str| {
        format!("{MODEL}evals:\n  e: {{ command: [x], dataset: d.jsonl, results: {results} }}\n")
    };
    assert_snapshot!(said(&eval("./d.jsonl")), @r"
    error[E0538]: results are written into the dataset
     --> a.yaml:8:49
      |
    8 |   e: { command: [x], dataset: d.jsonl, results: ./d.jsonl }
      |                               ------- as this   ^^^^^^^^^ the same file
      |
      = help: name another file or directory for `results`

    error: 1 error in a.yaml
    ");
    fine(&eval("e.jsonl"));
}

#[test]
fn a_known_client_has_what_it_needs() {
    assert_snapshot!(said(&format!("{}{SHORT_CALLS}", eval("adapter: toolorchestra-hle; dataset: d.jsonl"))), @r"
    error[E0514]: no model drives the tools
     --> a.yaml:8:3
      |
    8 |   e:
      |   ^ its client calls tools
      |
      = help: add `tools: true` to the model that does

    error[E0516]: `toolorchestra-hle` needs `client_config`, and there is none
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ this client cannot run without

    error[E0510]: `e` needs the model `Qwen/Qwen2.5-Coder-14B-Instruct`
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ this client asks for it by name
       |
       = help: add a model with `model: Qwen/Qwen2.5-Coder-14B-Instruct`, or list what it really needs in `requires`

    error[E0510]: `e` needs the model `openai/gpt-oss-20b`
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ this client asks for it by name
       |
       = help: add a model with `model: openai/gpt-oss-20b`, or list what it really needs in `requires`

    error[E0510]: `e` needs the model `Qwen/Qwen3-32B-FP8`
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ this client asks for it by name
       |
       = help: add a model with `model: Qwen/Qwen3-32B-FP8`, or list what it really needs in `requires`

    error[E0510]: `e` needs the service `retrieval`
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ without it each search waits 90 s and then finds nothing
       |
       = help: add the service, or list what the client really needs in `requires`

    warning[W0522]: no external answers for `gpt-5`, which judges in `e`
      --> a.yaml:10:14
       |
    10 |     adapter: toolorchestra-hle
       |              ^^^^^^^^^^^^^^^^^ each answer would end in error
       |
       = help: declare it: `externals: { judge: { url: …, models: [gpt-5], api_key: { env: … } } }`

    error: 6 errors, 1 warning in a.yaml
    ");
    fine(&tool_orchestra("concurrency: 64"));
}

#[test]
fn somebody_drives_the_tools() {
    let yaml = tool_orchestra("concurrency: 4").replace("orchestrator: {", "driver: {");
    assert_snapshot!(said(&yaml), @r"
    error[E0514]: it is not said which model drives the tools
      --> a.yaml:16:3
       |
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, concurrency: 4 }
       |   ^ `driver`, `search` all have `tools: true`
       |
       = help: add `orchestrator: NAME`, or call that model `orchestrator`

    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    error: 1 error, 1 note in a.yaml
    ");
    let yaml = tool_orchestra("orchestrator: driver").replace("orchestrator: {", "driver: {");
    fine(&yaml);
}

#[test]
fn tools_are_sent_only_to_a_path_that_exists_here() {
    let yaml = tool_orchestra("max_rounds: 3").replace("/ckpt/Nemo", "nvidia/Nemo");
    assert_snapshot!(said(&yaml.replace("8B/", "8B")), @r"
    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    error[E0518]: the client would not send its tools to `orchestrator`
      --> a.yaml:6:26
       |
     6 |   orchestrator: { model: nvidia/Nemotron-Orchestrator-8B, node: n, tools: true }
       |                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not a path
    ...
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, max_rounds: 3 }
       |                 ----------------- sends tools only to a model whose name is a path that exists where the client runs
       |
       = help: every question would end with `correct=False`: give the checkpoint's path, and mount it (or an empty directory of that name) here

    error: 1 error, 1 note in a.yaml
    ");
    let mut facts = facts();
    facts.paths.insert(
        "/ckpt/Nemotron-Orchestrator-8B/".to_owned(),
        Known::Known(PathKind::Absent),
    );
    assert_eq!(codes(&tool_orchestra("max_rounds: 3"), &facts), ["E0518"]);
}

#[test]
fn results_are_files_that_can_be_read_again() {
    let found = |kind| {
        let mut facts = facts();
        let known = Known::Known(kind);
        facts.paths.insert("/site/clusters/r".to_owned(), known);
        let known = Known::Known(kind);
        facts
            .paths
            .insert("/site/clusters/r.jsonl".to_owned(), known);
        facts
    };
    let dir = eval("command: [x]; finished: { count: 1 }");
    let file = dir.replace("results: r", "results: r.jsonl");
    assert_snapshot!(said_with(&file, &found(PathKind::Other)), @r"
    error[E0532]: the results cannot be a file
     --> a.yaml:9:14
      |
    9 |     results: r.jsonl
      |              ^^^^^^^ `/site/clusters/r.jsonl` is neither a file nor a directory
      |
      = help: move it away, or write the results elsewhere

    error: 1 error in a.yaml
    ");
    for (kind, [in_dir, in_file]) in [
        (PathKind::Absent, [false, false]),
        (PathKind::Directory, [false, true]),
        (PathKind::File, [true, false]),
        (PathKind::Other, [true, true]),
    ] {
        let wrong = |yaml: &str| codes(yaml, &found(kind)).contains(&"E0532");
        assert_eq!([wrong(&dir), wrong(&file)], [in_dir, in_file], "{kind:?}");
    }
}

#[test]
fn the_client_is_in_its_directory() {
    let mut facts = facts();
    facts.paths.insert(
        "/site/clusters/tools.json".to_owned(),
        Known::Known(PathKind::Absent),
    );
    assert_snapshot!(said_with(&tool_orchestra("max_rounds: 3"), &facts), @r"
    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    error[E0524]: the client's directory has no `tools.json`
      --> a.yaml:16:3
       |
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, max_rounds: 3 }
       |   ^ `/site/clusters`
       |
       = help: `cwd` is the directory of the client, such as `~/ToolOrchestra/evaluation`

    error: 1 error, 1 note in a.yaml
    ");
}

#[test]
fn the_client_can_read_its_configuration() {
    assert_snapshot!(said(&tool_orchestra("max_rounds: 3").replace("format: toolorchestra", "format: openai-env")), @r"
    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    error[E0523]: `toolorchestra-hle` cannot read this client configuration
      --> a.yaml:14:26
       |
    14 | client_config: { format: openai-env, path: c.json }
       |                          ^^^^^^^^^^ it needs `toolorchestra`
    15 | evals:
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, max_rounds: 3 }
       |                 ----------------- the client that reads it

    error: 1 error, 1 note in a.yaml
    ");
}

#[test]
fn open_files_are_enough() {
    let mut facts = facts();
    facts.open_files = Known::Known(OpenFiles {
        soft: 1024,
        hard: 1024,
    });
    assert_snapshot!(said_with(&tool_orchestra("concurrency: 64"), &facts), @r"
    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    error[E0517]: 64 questions in flight need about 2304 open files
      --> a.yaml:16:79
       |
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, concurrency: 64 }
       |                                                                               ^^ too many for this machine
       |
       = help: the hard limit here is 1024 (`ulimit -Hn`): have it raised, or lower `concurrency`

    error: 1 error, 1 note in a.yaml
    ");
    assert_snapshot!(said_with(&tool_orchestra("concurrency: 2, limits: { open_files: 65536 }"), &facts), @r"
    note[N0447]: parser `openai` has a known fault in vLLM 0.12.0
     --> a.yaml:9:56
      |
    9 |   search: { model: openai/gpt-oss-20b, node: n, tools: true }
      |                                                        ^^^^ some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`
      |
      = help: reported of 0.10.1 and still of 0.26.0: vllm-project/vllm#23567, #51977; a client that asks again is served, so such answers are counted as errors of servers

    warning[W0517]: the hard limit of open files is 1024
      --> a.yaml:16:104
       |
    16 |   e: { adapter: toolorchestra-hle, dataset: d.jsonl, results: r, concurrency: 2, limits: { open_files: 65536 } }
       |                                                                                                        ^^^^^ 65536 cannot be had
       |
       = help: the client runs with the hard limit

    warning: 1 warning, 1 note in a.yaml
    ");
    facts.open_files = Known::Known(OpenFiles {
        soft: 1024,
        hard: 65536,
    });
    assert_eq!(
        codes(
            &tool_orchestra("concurrency: 64, limits: { open_files: 65536 }"),
            &facts
        ),
        [""; 0]
    );
}

#[test]
fn what_cannot_be_searched_for_is_no_marker() {
    assert_snapshot!(said(&eval("command: [x]; dataset: d.jsonl; marker: \"[\"")), @r#"
    error[E0525]: a marker is a regular expression, and this is none
      --> a.yaml:12:13
       |
    12 |     marker: "["
       |             ^^^ found unclosed character class
       |
       = help: put a backslash before `[ ] ( ) { } . * + ? | ^ $` where they are meant as they stand

    error: 1 error in a.yaml
    "#);
    fine(&eval(
        "command: [x]; dataset: d.jsonl; marker: \"\\\\[DONE\\\\]\"",
    ));
}

#[test]
fn a_result_needs_its_id_in_its_name() {
    let yaml = |pattern: &str| {
        format!(
            "{MODEL}evals:\n  e: {{ command: [x], dataset: d.jsonl, results: {{ dir: r, pattern: {pattern} }} }}\n"
        )
    };
    assert_snapshot!(said(&yaml("\"task.json\"")), @r#"
    error[E0526]: no question's result can have this file name
     --> a.yaml:8:68
      |
    8 |   e: { command: [x], dataset: d.jsonl, results: { dir: r, pattern: "task.json" } }
      |                                                                    ^^^^^^^^^^^ it needs `{id}`, and no `/`
      |
      = help: write the file's name with `{id}` in the id's place, such as `task_{id}.json`

    error: 1 error in a.yaml
    "#);
    fine(&yaml("\"task_{id}.json\""));
}

/// Two models, and lm-eval with these keys and this client configuration.
fn harness(format: &str, rest: &str) -> String {
    format!(
        "models:\n  a: {{ model: Qwen/Qwen3-8B, node: n }}\n  b: {{ model: Qwen/Qwen3-4B, node: n }}\n\
         client_config: {{ format: {format}, path: c }}\n\
         evals:\n  gsm8k: {{ adapter: lm-eval, dataset: d.jsonl, results: r{rest} }}\n"
    )
}

#[test]
fn a_harness_must_know_which_model_it_asks() {
    fine(&harness("openai-env", ", orchestrator: b"));
    assert_snapshot!(said(&harness("openai-env", "")), @r"
    error[E0514]: it is not said which model `lm-eval` asks
      --> a.yaml:10:3
       |
    10 |   gsm8k: { adapter: lm-eval, dataset: d.jsonl, results: r }
       |   ^^^^^ there are several
       |
       = help: add `orchestrator: NAME`

    error: 1 error in a.yaml
    ");
}

#[test]
fn a_harness_that_asks_nobody_or_writes_elsewhere() {
    assert_snapshot!(said(&harness("openai-env", ", orchestrator: gamma")), @r"
    error[E0210]: there is no model `gamma`
      --> a.yaml:10:74
       |
    10 |   gsm8k: { adapter: lm-eval, dataset: d.jsonl, results: r, orchestrator: gamma }
       |                                                                          ^^^^^ not a key of `models`

    error: 1 error in a.yaml
    ");
    let file =
        harness("openai-env", ", orchestrator: b").replace("results: r,", "results: r.jsonl,");
    assert_snapshot!(said(&file), @r"
    error[E0527]: `lm-eval` writes one file for each question
      --> a.yaml:10:57
       |
    10 |   gsm8k: { adapter: lm-eval, dataset: d.jsonl, results: r.jsonl, orchestrator: b }
       |                                                         ^^^^^^^ one file for all
       |
       = help: name a directory

    error: 1 error in a.yaml
    ");
}

#[test]
fn a_harness_reads_one_format() {
    assert_snapshot!(said(&harness("toolorchestra", ", orchestrator: b")), @r"
    error[E0523]: `lm-eval` cannot read this client configuration
      --> a.yaml:8:26
       |
     8 | client_config: { format: toolorchestra, path: c }
       |                          ^^^^^^^^^^^^^ it needs `openai-env`
     9 | evals:
    10 |   gsm8k: { adapter: lm-eval, dataset: d.jsonl, results: r, orchestrator: b }
       |                     ------- the client that reads it

    error: 1 error in a.yaml
    ");
}

#[test]
fn numbers_that_the_client_never_hears() {
    let eval = |command: &str| {
        format!(
            "models:\n  m: {{ model: Qwen/Qwen3-8B, node: n }}\n\
             evals:\n  e: {{ command: [{command}], results: out, dataset: questions.jsonl, concurrency: 64, max_rounds: 5, requires: [m] }}\n"
        )
    };
    assert_snapshot!(said(&eval("python, run.py, --workers=8, --rounds=5")), @r"
    warning[W0539]: nothing tells the client `concurrency: 64`
     --> a.yaml:8:113
      |
    8 |   e: { command: [python, run.py, --workers=8, --rounds=5], results: out, dataset: questions.jsonl, concurrency: 64, max_rounds: 5, re...
      |                 ----------------------------------------- has neither `{concurrency}` nor 64                    ^^ the client keeps its own number
      |
      = help: put `{concurrency}` into `command`, where the client reads it

    warning: 1 warning in a.yaml
    ");
    fine(&eval(
        "python, run.py, '--workers={concurrency}', '{max_rounds}'",
    ));
    fine(&eval("python, run.py, --workers=64, --rounds, '5'"));
}
