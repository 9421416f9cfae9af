//! One YAML with a mistake of each kind: all are told in one run, each at its line.

use crate::check::check_all;
use crate::diag::{Severity, human};
use crate::plan::plan_tests::facts;
use crate::spec::{Source, parse};

const YAML: &str = include_str!("../../../tests/fixtures/twenty-mistakes.yaml");

#[test]
#[expect(clippy::too_many_lines, reason = "the text of all findings")]
fn all_are_told_at_once() {
    let parsed = parse(Source::new("twenty.yaml", YAML.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, []);
    let (_, report) = check_all(&parsed.spec.unwrap(), &facts());
    let lines: Vec<&str> = YAML.lines().collect();
    let mut told: Vec<(usize, &str)> = Vec::new();
    for finding in report
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
    {
        let span = parsed.document.tree().locate(&finding.labels[0].place);
        let line = YAML[..span.start].matches('\n').count();
        let (_, number) = lines[line]
            .split_once("# ")
            .unwrap_or_else(|| panic!("{} at line {}", finding.code.0, line + 1));
        let number = number.split(':').next().unwrap().parse().unwrap();
        told.push((number, finding.code.0));
    }
    told.sort_unstable();
    let expected = [
        "E0340", "E0401", "E0301", "E0403", "E0410", "E0411", "E0412", "E0419", "E0429", "E0431",
        "E0433", "E0434", "E0310", "E0311", "E0445", "E0515", "E0513", "E0521", "E0210", "W0608",
        "E0420",
    ];
    let expected: Vec<(usize, &str)> = (1..).zip(expected).collect();
    assert_eq!(told, expected);
    insta::assert_snapshot!(human(&report, &parsed.document, false), @r#"
    error[E0513]: `first` and `second` wait for each other
      --> twenty.yaml:69:12
       |
    69 |     after: { second: ended }                                          # 17: each waits for the other
       |            ^^^^^^^^^^^^^^^^^ `first` waits
    ...
    74 |     after: { first: ended }
       |            ^^^^^^^^^^^^^^^^ `second` waits

    error[E0515]: `{questions}` is not a placeholder
      --> twenty.yaml:66:33
       |
    66 |     command: [run, --questions, "{questions}"]                        # 16: not a placeholder
       |                                 ^^^^^^^^^^^^^ in this text
       |
       = help: here there are `{name}`, `{results}`, `{dataset}`, `{toolorch}`; write `{{` for a brace

    error[E0210]: there is no model, service or external `anwser`
      --> twenty.yaml:75:16
       |
    75 |     requires: [anwser]                                                # 19: no such model
       |                ^^^^^^ nothing of this name
       |
    help: did you mean `answer`?
       |
    75 -     requires: [anwser]                                                # 19: no such model
    75 +     requires: [answer]                                                # 19: no such model
       |

    error[E0301]: port 8000 of `h100` is wanted by `search-0` and `answer-0`
      --> twenty.yaml:25:11
       |
    17 |     port: 8000
       |           ---- `search` begins here, +1 for each replica
    ...
    25 |     port: 8000                                                        # 3: the port of `search`
       |           ^^^^ `answer` begins here
       |
       = help: leave room for all replicas, or write `port: auto`

    error[E0310]: `far-0` wants GPU 9, which `box` does not have
      --> twenty.yaml:51:11
       |
     9 |   box: { gpus: 4, gpu: A100-40GB, transport: local }
       |                - it has 0, 1, 2, 3
    ...
    51 |     gpus: [9]                                                         # 13: there is none
       |           ^^^ GPUs count from 0

    error[E0311]: GPU 0 of `h100` is used by `search-0` and `greedy-0`, 150 % of its memory in all
      --> twenty.yaml:55:11
       |
    16 |     gpus: [0]
       |           --- `search-0` takes 60 % of its memory
    ...
    55 |     gpus: [0]                                                         # 14: 150 % of a GPU
       |           ^^^ `greedy-0` takes 90 % of its memory
       |
       = help: give each its own GPU, or set `gpu_memory_utilization` so that they add up to at most 1

    note[N0324]: servers of a pool listen at every address of their node
      --> twenty.yaml:61:43
       |
    61 |   queued: { model: Qwen/Qwen3-0.6B, node: pool }
       |                                           ^^^^ which node that is, SLURM decides
       |
       = help: they have no key: whoever reaches the port can use them

    error[E0340]: `4h` is no time limit of SLURM
     --> twenty.yaml:5:16
      |
    5 | slurm: { time: 4h }                                                   # 1: not a time of SLURM
      |                ^^ sbatch would refuse the job
      |
      = help: write `"HH:MM:SS"` or `"D-HH:MM:SS"`; a number alone is minutes, `"90:30"` minutes and seconds

    error[E0401]: parser `hermes` does not understand gpt-oss
      --> twenty.yaml:19:18
       |
    14 |     model: openai/gpt-oss-20b
       |            ------------------ a model of the family gpt-oss
    ...
    19 |     tool_parser: hermes                                               # 2: another family's parser
       |                  ^^^^^^ every tool call would be answered with HTTP 500
       |
    help: use `openai`
       |
    19 -     tool_parser: hermes                                               # 2: another family's parser
    19 +     tool_parser: openai                                               # 2: another family's parser
       |

    error[E0403]: vLLM 0.12.0 has no tool-call parser `hermez`
      --> twenty.yaml:27:18
       |
    27 |     tool_parser: hermez                                               # 4: no release has it
       |                  ^^^^^^ not seen in any release
       |
       = help: the server would exit at its start, after a minute of imports
    help: did you mean `hermes`?
       |
    27 -     tool_parser: hermez                                               # 4: no release has it
    27 +     tool_parser: hermes                                               # 4: no release has it
       |

    error[E0410]: vLLM 0.12.0 has no flag `--max-num-sequences`
      --> twenty.yaml:30:7
       |
    30 |       max-num-sequences: 64                                           # 5: no release has it
       |       ^^^^^^^^^^^^^^^^^ not a flag of any release
       |
       = help: the server would exit at its start with code 2
    help: did you mean `--max-num-seqs`?
       |
    30 -       max-num-sequences: 64                                           # 5: no release has it
    30 +       max-num-seqs: 64                                           # 5: no release has it
       |

    error[E0411]: vLLM 0.12.0 has no flag `--guided-decoding-backend` any more
      --> twenty.yaml:31:7
       |
    31 |       guided-decoding-backend: xgrammar                               # 6: gone
       |       ^^^^^^^^^^^^^^^^^^^^^^^ last seen in 0.10.2
       |
       = help: write --structured-outputs-config '{"backend":"xgrammar"}' (or --structured-outputs-config.backend xgrammar)

    error[E0412]: flag `--max-num-batched-tokens` does not take `"many"`
      --> twenty.yaml:32:31
       |
    32 |       max-num-batched-tokens: many                                    # 7: not a number
       |                               ^^^^ it takes a whole number, such as 4096 or 32k
       |
       = help: the server would exit at its start with code 2

    error[E0445]: `thinker` cannot be kept from thinking
      --> twenty.yaml:60:15
       |
    57 |     model: Qwen/Qwen3-4B-Thinking-2507
       |            --------------------------- qwen3-2507-thinking always thinks
    ...
    60 |     thinking: false                                                   # 15: it always thinks
       |               ^^^^^ no switch is known
       |
       = help: take another checkpoint, such as its `Instruct` variant, or remove the line

    error[E0429]: flag `--block-size` is given twice
      --> twenty.yaml:35:7
       |
    34 |       block-size: 16
       |       ---------- here for the first time
    35 |       block_size: 32                                                  # 9: a second time
       |       ^^^^^^^^^^ the same flag
       |
       = help: vLLM would take the last one; remove one of the two

    error[E0419]: flag `--headless` goes against how servers are started here
      --> twenty.yaml:33:7
       |
    33 |       headless: true                                                  # 8: nobody would answer
       |       ^^^^^^^^ no server would answer on its port
       |
       = help: remove it

    error[E0420]: the evaluation sends `answer` more than it can hold
      --> twenty.yaml:77:24
       |
    28 |     max_model_len: 32768
       |                    ----- the server holds 32768
    ...
    77 |     context: { answer: { prompt: 80034, output: 8000 } }              # 21: more than 32768
       |                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 80034 + 8000 = 88034 tokens
       |
       = help: raise `max_model_len` if the model allows it, or let the client send less; each longer request would be refused with HTTP 400

    error[E0431]: 40 attention heads of `coder` cannot be divided among 3 GPUs
      --> twenty.yaml:39:22
       |
    37 |     model: Qwen/Qwen2.5-Coder-14B-Instruct
       |            ------------------------------- its published config.json says 40
    38 |     node: other
    39 |     tensor_parallel: 3                                                # 10: 40 heads
       |                      ^ 40 is no multiple of 3
       |
       = help: vLLM refuses to start; what does not divide can be more replicas, or `pipeline_parallel`
    help: divide among 2
       |
    39 -     tensor_parallel: 3                                                # 10: 40 heads
    39 +     tensor_parallel: 2                                                # 10: 40 heads
       |

    error[E0433]: the weights of `large` do not fit its GPUs
      --> twenty.yaml:41:12
       |
     8 |   other: { gpus: 8, gpu: H100-80GB, transport: local }
       |                          --------- H100-80GB: 79.6 GiB × 0.9 = 71.7 GiB
    ...
    41 |     model: meta-llama/Llama-3.3-70B-Instruct                          # 11: 124 GiB on one GPU
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ at least 123.9 GiB of weights
       |
       = help: `tensor_parallel: 4` gives 31.0 GiB to each GPU

    error[E0434]: no GPU memory is left for one full request to `long`
      --> twenty.yaml:47:20
       |
     9 |   box: { gpus: 4, gpu: A100-40GB, transport: local }
       |                        --------- A100-40GB: 40.0 GiB × 0.9 = 36.0 GiB
    ...
    47 |     max_model_len: 65536                                              # 12: 12 GiB of cache beside 26 GiB
       |                    ^^^^^ one request of 65536 tokens × 196608 bytes = 12.0 GiB of cache
       |
       = help: at least 24.8 GiB of weights; with the cache 36.8 GiB: less than 62000 tokens fit: set `max_model_len`, or divide the model over more GPUs

    error[E0521]: `first` and `second` would write into one another's results
      --> twenty.yaml:73:14
       |
    68 |     results: out
       |              --- the same
    ...
    73 |     results: out                                                      # 18: the results of `first`
       |              ^^^ `/site/clusters/out`

    warning[W0608]: `NEBIUS_API_KEY` reaches the client of `second`, and no external is declared that it is for
      --> twenty.yaml:76:35
       |
    76 |     env: { pass: [OPENAI_API_KEY, NEBIUS_API_KEY] }                   # 20: nobody is declared for it
       |                                   ^^^^^^^^^^^^^^ some clients turn to whoever they have a key of
       |
       = help: remove it, or declare whom it is for: `externals: { NAME: { url: …, models: […], api_key: { env: … } } }`

    error: 20 errors, 1 warning, 1 note in twenty.yaml
    "#);
}
