//! One snapshot for each kind of mistake: what a user sees, whole.

use insta::assert_snapshot;

use super::shown;

/// The mistake in a cluster that has no other.
fn top(lines: &str) -> String {
    shown(&format!("version: 1\nname: a\n{lines}\n"))
}

fn model(keys: &str) -> String {
    top(&format!(
        "nodes: {{ n: {{ gpus: 8 }} }}\nmodels:\n  m: {{ model: m, node: n, {keys} }}"
    ))
}

#[test]
fn an_unknown_key_that_resembles_none() {
    assert_snapshot!(top("hosts: {}"), @r"
    error[E0120]: unknown key `hosts` at the top
     --> cluster.yaml:3:1
      |
    3 | hosts: {}
      | ^^^^^ not a key of this mapping
      |
      = help: known keys: `version`, `name`, `vllm`, `launcher`, `env`, `hf`, `slurm`, `nodes`, `pools`, `models`, `services`, `externals`, `client_config`, `client_configs`, `evals`, `rehearse`, `sim`, `notify`, `idle`, `when_done`, `allow`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_key_that_belongs_one_level_deeper() {
    assert_snapshot!(model("conda: vllm1"), @r"
    error[E0120]: unknown key `conda` in `models.m`
     --> cluster.yaml:5:27
      |
    5 |   m: { model: m, node: n, conda: vllm1 }
      |                           ^^^^^ not a key of this mapping
      |
      = help: `conda` is a key of `env`: `env: { conda: … }`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_flag_of_the_server_among_the_keys_of_a_model() {
    assert_snapshot!(model("enforce_eager: true"), @r"
    error[E0120]: unknown key `enforce_eager` in `models.m`
     --> cluster.yaml:5:27
      |
    5 |   m: { model: m, node: n, enforce_eager: true }
      |                           ^^^^^^^^^^^^^ not a key of this mapping
      |
      = help: flags of the server go under `args`: `args: { enforce-eager: … }`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_missing_key() {
    assert_snapshot!(top("models:\n  m:\n    node: n"), @r"
    error[E0121]: `models.m` has no `model`
     --> cluster.yaml:4:3
      |
    4 |   m:
      |   ^ `model` is missing
      |
      = help: `model`: What is passed to the server, and the client's key, byte for byte: a Hugging Face id or a path.

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_missing_version() {
    assert_snapshot!(shown("name: a\n"), @r"
    error[E0121]: the cluster has no `version`
     --> cluster.yaml:1:1
      |
    1 | name: a
      | ^^^^^^^ `version` is missing
      |
      = help: `version`: The version of this format: 1.

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_key_without_a_value() {
    assert_snapshot!(top("launcher:\nmodels: null"), @r"
    error[E0128]: `launcher` has no value
     --> cluster.yaml:3:1
      |
    3 | launcher:
      | ^^^^^^^^ needs one of `process`, `tmux`, `slurm`
      |
      = help: remove the key to get its default

    error[E0128]: `models` has no value
     --> cluster.yaml:4:9
      |
    4 | models: null
      |         ^^^^ this is no value in YAML

    error: 2 errors in cluster.yaml
    ");
}

#[test]
fn a_list_where_a_mapping_is_meant() {
    assert_snapshot!(top("models:\n  - name: m\n    model: m"), @r"
    error[E0122]: `models` must be a mapping
     --> cluster.yaml:4:3
      |
    4 |   - name: m
      |   ^^^^^^^^^ this is a list
      |
      = help: a mapping has `name: value` entries without `-`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_text_where_a_mapping_is_meant() {
    assert_snapshot!(top("env: vllm1"), @r"
    error[E0122]: `env` must be a mapping
     --> cluster.yaml:3:6
      |
    3 | env: vllm1
      |      ^^^^^ this is a text
      |
      = help: its keys: `conda`, `venv`, `modules`, `container`, `setup`, `pass`, `set`, `unset`, `umask`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_number_where_a_text_is_meant() {
    assert_snapshot!(model("served_name: 8"), @r#"
    error[E0122]: `models.m.served_name` must be a text
     --> cluster.yaml:5:40
      |
    5 |   m: { model: m, node: n, served_name: 8 }
      |                                        ^ this is a whole number
      |
    help: write it in quotes
      |
    5 -   m: { model: m, node: n, served_name: 8 }
    5 +   m: { model: m, node: n, served_name: "8" }
      |

    error: 1 error in cluster.yaml
    "#);
}

#[test]
fn a_quoted_truth_value_and_a_bare_yes() {
    assert_snapshot!(model("tools: \"true\", thinking: no"), @r#"
    error[E0122]: `models.m.tools` must be `true` or `false`
     --> cluster.yaml:5:34
      |
    5 |   m: { model: m, node: n, tools: "true", thinking: no }
      |                                  ^^^^^^ this is a text
      |
    help: write `true`
      |
    5 -   m: { model: m, node: n, tools: "true", thinking: no }
    5 +   m: { model: m, node: n, tools: true, thinking: no }
      |

    error[E0126]: `models.m.thinking` must be `true` or `false`
     --> cluster.yaml:5:52
      |
    5 |   m: { model: m, node: n, tools: "true", thinking: no }
      |                                                    ^^ a text in YAML 1.2
      |
    help: write `false`
      |
    5 -   m: { model: m, node: n, tools: "true", thinking: no }
    5 +   m: { model: m, node: n, tools: "true", thinking: false }
      |

    error: 2 errors in cluster.yaml
    "#);
}

#[test]
fn a_union_names_its_forms() {
    assert_snapshot!(model("port: [1800]"), @r"
    error[E0122]: `models.m.port` must be a whole number from 1 to 65535 or `auto`
     --> cluster.yaml:5:33
      |
    5 |   m: { model: m, node: n, port: [1800] }
      |                                 ^^^^^^ this is a list

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_word_of_a_union() {
    assert_snapshot!(model("port: atuo"), @r"
    error[E0123]: `models.m.port` must be a whole number from 1 to 65535 or `auto`
     --> cluster.yaml:5:33
      |
    5 |   m: { model: m, node: n, port: atuo }
      |                                 ^^^^ not one of the words
      |
    help: did you mean `auto`?
      |
    5 -   m: { model: m, node: n, port: atuo }
    5 +   m: { model: m, node: n, port: auto }
      |

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_port_out_of_range_and_a_quoted_one() {
    assert_snapshot!(model("port: 70000, replicas: \"4_000\""), @r#"
    error[E0124]: `models.m.port` must be a whole number from 1 to 65535 or `auto`
     --> cluster.yaml:5:33
      |
    5 |   m: { model: m, node: n, port: 70000, replicas: "4_000" }
      |                                 ^^^^^ out of range

    error[E0122]: `models.m.replicas` must be a whole number from 1 to 100000
     --> cluster.yaml:5:50
      |
    5 |   m: { model: m, node: n, port: 70000, replicas: "4_000" }
      |                                                  ^^^^^^^ this is a text
      |
    help: write `4000`
      |
    5 -   m: { model: m, node: n, port: 70000, replicas: "4_000" }
    5 +   m: { model: m, node: n, port: 70000, replicas: 4000 }
      |

    error: 2 errors in cluster.yaml
    "#);
}

#[test]
fn a_leading_zero() {
    assert_snapshot!(model("replicas: 010, args: { seed: 007 }"), @r#"
    error[E0130]: `models.m.replicas` is a number with a leading zero
     --> cluster.yaml:5:37
      |
    5 |   m: { model: m, node: n, replicas: 010, args: { seed: 007 } }
      |                                     ^^^ octal to some YAML readers
      |
      = help: where a text is meant write it in quotes: `"010"`
    help: where a number is meant
      |
    5 -   m: { model: m, node: n, replicas: 010, args: { seed: 007 } }
    5 +   m: { model: m, node: n, replicas: 10, args: { seed: 007 } }
      |

    error[E0130]: `models.m.args.seed` is a number with a leading zero
     --> cluster.yaml:5:56
      |
    5 |   m: { model: m, node: n, replicas: 010, args: { seed: 007 } }
      |                                                        ^^^ octal to some YAML readers
      |
      = help: where a text is meant write it in quotes: `"007"`
    help: where a number is meant
      |
    5 -   m: { model: m, node: n, replicas: 010, args: { seed: 007 } }
    5 +   m: { model: m, node: n, replicas: 010, args: { seed: 7 } }
      |

    error: 2 errors in cluster.yaml
    "#);
}

#[test]
fn null_as_a_flag() {
    assert_snapshot!(model("args: { seed: null, eager: yes }"), @r#"
    error[E0128]: `models.m.args.seed` has no value
     --> cluster.yaml:5:41
      |
    5 |   m: { model: m, node: n, args: { seed: null, eager: yes } }
      |                                         ^^^^ this is no value in YAML

    error[E0126]: `models.m.args.eager` is a bare `yes`
     --> cluster.yaml:5:54
      |
    5 |   m: { model: m, node: n, args: { seed: null, eager: yes } }
      |                                                      ^^^ a truth value to some YAML readers, a text to others
      |
    help: where a truth value is meant
      |
    5 -   m: { model: m, node: n, args: { seed: null, eager: yes } }
    5 +   m: { model: m, node: n, args: { seed: null, eager: true } }
      |
    help: write it in quotes
      |
    5 -   m: { model: m, node: n, args: { seed: null, eager: yes } }
    5 +   m: { model: m, node: n, args: { seed: null, eager: "yes" } }
      |

    error: 2 errors in cluster.yaml
    "#);
}

#[test]
fn a_placeholder_without_quotes() {
    assert_snapshot!(
        top("nodes: { n: {} }\nservices:\n  s: { node: n, command: [serve, --port, {port}] }"),
        @r#"
        error[E0121]: `nodes.n` has no `gpus`
         --> cluster.yaml:3:10
          |
        3 | nodes: { n: {} }
          |          ^ `gpus` is missing
          |
          = help: `gpus`: How many GPUs it has, or which may be used: `8` or `[4, 5, 6, 7]`; `0` for none.

        error[E0122]: `services.s.command[2]` must be a text
         --> cluster.yaml:5:42
          |
        5 |   s: { node: n, command: [serve, --port, {port}] }
          |                                          ^^^^^^ this is a mapping
          |
        help: without quotes YAML reads braces as a mapping
          |
        5 -   s: { node: n, command: [serve, --port, {port}] }
        5 +   s: { node: n, command: [serve, --port, "{port}"] }
          |

        error: 2 errors in cluster.yaml
        "#
    );
}

#[test]
fn a_bare_tilde_as_a_path() {
    assert_snapshot!(top("hf: { home: ~ }"), @r#"
    error[E0126]: `hf.home` is a bare `~`
     --> cluster.yaml:3:13
      |
    3 | hf: { home: ~ }
      |             ^ this is no value in YAML
      |
    help: write it in quotes
      |
    3 - hf: { home: ~ }
    3 + hf: { home: "~" }
      |

    error: 1 error in cluster.yaml
    "#);
}

#[test]
fn environments_that_exclude_each_other() {
    assert_snapshot!(top("env: { conda: a, venv: /b }"), @r"
    error[E0129]: `conda`, `venv` exclude each other
     --> cluster.yaml:3:8
      |
    3 | env: { conda: a, venv: /b }
      |        ^^^^^     ---- another one
      |        |
      |        keep just one of them

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_secret_needs_just_one_place() {
    assert_snapshot!(top("hf: { token: { env: HF_TOKEN, file: t } }\nexternals: { j: { url: u, api_key: {} } }"), @r"
    error[E0129]: `env`, `file` exclude each other
     --> cluster.yaml:3:16
      |
    3 | hf: { token: { env: HF_TOKEN, file: t } }
      |                ^^^            ---- another one
      |                |
      |                keep just one of them

    error[E0121]: `externals.j.api_key` needs one of `env`, `file`
     --> cluster.yaml:4:36
      |
    4 | externals: { j: { url: u, api_key: {} } }
      |                                    ^^ there is none

    error: 2 errors in cluster.yaml
    ");
}

#[test]
fn names_of_nodes_and_variables() {
    assert_snapshot!(top("nodes: { \"-oProxyCommand=x\": { gpus: 1 }, \"a b\": { gpus: 1 } }\nenv: { set: { A-B: x }, pass: [1X] }"), @r#"
    error[E0202]: `-oProxyCommand=x` is not the name of a node
     --> cluster.yaml:3:10
      |
    3 | nodes: { "-oProxyCommand=x": { gpus: 1 }, "a b": { gpus: 1 } }
      |          ^^^^^^^^^^^^^^^^^^ it must not start with `-` or `.`

    error[E0202]: `a b` is not the name of a node
     --> cluster.yaml:3:43
      |
    3 | nodes: { "-oProxyCommand=x": { gpus: 1 }, "a b": { gpus: 1 } }
      |                                           ^^^^^ only letters, digits, `.`, `_`, `:` and `-` may be used

    error[E0203]: `A-B` is not the name of a variable
     --> cluster.yaml:4:15
      |
    4 | env: { set: { A-B: x }, pass: [1X] }
      |               ^^^ only letters, digits and `_` may be used

    error[E0203]: `1X` is not the name of a variable
     --> cluster.yaml:4:32
      |
    4 | env: { set: { A-B: x }, pass: [1X] }
      |                                ^^ it must start with a letter or `_`

    error: 4 errors in cluster.yaml
    "#);
}

#[test]
fn a_mistake_in_an_anchor_is_one_mistake() {
    let evals =
        "evals:\n  a: { results: o, limits: &l { stall: 60 } }\n  b: { results: o, limits: *l }";
    assert_snapshot!(top(evals), @r"
    error[E0125]: `evals.a.limits.stall` must be a duration with a unit
     --> cluster.yaml:4:40
      |
    4 |   a: { results: o, limits: &l { stall: 60 } }
      |                                        ^^ write a number and a unit: `90s`, `60m`, `1h30m`, `500ms`
      |
    help: in seconds
      |
    4 |   a: { results: o, limits: &l { stall: 60s } }
      |                                          +
    help: in minutes
      |
    4 |   a: { results: o, limits: &l { stall: 60m } }
      |                                          +

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_mistake_that_only_an_alias_makes() {
    let evals = "env: &e { conda: c }\nevals:\n  b: { results: o, limits: *e }";
    assert_snapshot!(top(evals), @r"
    error[E0120]: unknown key `conda` in `evals.b.limits`
     --> cluster.yaml:3:11
      |
    3 | env: &e { conda: c }
      |           ^^^^^ not a key of this mapping
    4 | evals:
    5 |   b: { results: o, limits: *e }
      |                            -- used here
      |
      = help: known keys: `open_files`, `stall`, `first_result`

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn aliases_merges_and_keys_that_are_none() {
    let yaml = "env: &client { conda: c }\nevals:\n  a: { results: o, env: *cleint, limits: { <<: no } }\n  ? [x]\n  : y";
    assert_snapshot!(top(yaml), @r#"
    error[E0111]: `*cleint` has no anchor before it
     --> cluster.yaml:5:25
      |
    5 |   a: { results: o, env: *cleint, limits: { <<: no } }
      |                         ^^^^^^^ not known here
      |
      = help: there is an anchor `&client`

    error[E0111]: `<<` can merge only mappings
     --> cluster.yaml:5:48
      |
    5 |   a: { results: o, env: *cleint, limits: { <<: no } }
      |                                                ^^ this is none

    error[E0111]: a list stands where a key is meant
     --> cluster.yaml:6:5
      |
    6 |   ? [x]
      |     ^^^ a key must be a text
      |
      = help: braces in a text need quotes: `"{port}"`

    error: 3 errors in cluster.yaml
    "#);
}

#[test]
fn an_alias_inside_of_its_anchor() {
    assert_snapshot!(top("env: &e { conda: *e }"), @r"
    error[E0111]: an alias stands inside of its own anchor
     --> cluster.yaml:3:18
      |
    3 | env: &e { conda: *e }
      |                  ^^ this would never end

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_tag() {
    assert_snapshot!(top("env: { conda: !!str 8 }"), @r"
    error[E0110]: the tag `!!str` is not supported
     --> cluster.yaml:3:15
      |
    3 | env: { conda: !!str 8 }
      |               ^^^^^ remove it
      |
      = help: quotes make a value a text; a text that starts with `!` needs them too

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn two_documents() {
    assert_snapshot!(top("---\nversion: 1"), @r"
    error[E0109]: the file holds several documents
     --> cluster.yaml:3:1
      |
    3 | ---
      | ^^^ a second document begins here
      |
      = help: one file describes one cluster: remove the `---`, or split the file

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_control_character_by_escape() {
    assert_snapshot!(top(r#"env: { conda: "a\eb\r" }"#), @r#"
    error[E0112]: the control character U+001B stands in a value
     --> cluster.yaml:3:15
      |
    3 | env: { conda: "a\eb\r" }
      |               ^^^^^^^^ in this text

    error: 1 error in cluster.yaml
    "#);
}

#[test]
fn a_bracket_that_is_not_closed() {
    assert_snapshot!(top("nodes: { a: { gpus: [0, 1 }\nmodels: {}"), @r"
    error[E0104]: `[` is closed by `}`
     --> cluster.yaml:3:21
      |
    3 | nodes: { a: { gpus: [0, 1 }
      |                     ^ the parser gave up here

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_quote_that_is_not_closed() {
    assert_snapshot!(top("env: { conda: \"a }"), @r#"
    error[E0104]: a quote is not closed
     --> cluster.yaml:3:15
      |
    3 | env: { conda: "a }
      |               ^ the parser gave up here

    error: 1 error in cluster.yaml
    "#);
}

#[test]
fn a_colon_in_a_text() {
    assert_snapshot!(top("env:\n  setup: [source a]\n  conda: a: b"), @r"
    error[E0104]: a `:` stands where no key can be
     --> cluster.yaml:5:11
      |
    5 |   conda: a: b
      |           ^ the parser gave up here
      |
      = help: a text with `: ` in it needs quotes

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_line_that_is_indented_otherwise() {
    assert_snapshot!(top("env:\n  conda: a\n   venv: b"), @r"
    error[E0104]: a `:` stands where no key can be
     --> cluster.yaml:5:8
      |
    5 |    venv: b
      |        ^ the parser gave up here
      |
      = help: a text with `: ` in it needs quotes

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_percent_sign_and_an_at_sign() {
    assert_snapshot!(top("env: { conda: @x }"), @r"
    error[E0104]: `@` cannot stand at the beginning of a value
     --> cluster.yaml:3:15
      |
    3 | env: { conda: @x }
      |               ^ the parser gave up here
      |
      = help: a text that begins with such a character needs quotes

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn keys_that_go_together() {
    let yaml = "models:
  a: { model: m, node: n, command: [x] }
  b: { model: m, node: n, engine: command }
  c: { model: m, node: n, engine: command, command: [x], args: { seed: 1 } }
client_config: { format: template, path: p }
pools: { p: { nodes: 1, gpus: 8, launcher: tmux } }";
    assert_snapshot!(top(yaml), @r"
    error[E0132]: `models.a.command` has no effect without `engine: command`
     --> cluster.yaml:4:27
      |
    4 |   a: { model: m, node: n, command: [x] }
      |                           ^^^^^^^ nothing would read this

    error[E0121]: `models.b` has `engine: command` and no `command`
     --> cluster.yaml:5:35
      |
    5 |   b: { model: m, node: n, engine: command }
      |                                   ^^^^^^^ this needs `command`

    error[E0132]: `models.c.args` has no effect with `engine: command`
     --> cluster.yaml:6:58
      |
    6 |   c: { model: m, node: n, engine: command, command: [x], args: { seed: 1 } }
      |                                   -------                ^^^^ nothing would read this
      |                                   |
      |                                   this starts a program of your own

    error[E0121]: `client_config` has `format: template` and no `template`
     --> cluster.yaml:7:26
      |
    7 | client_config: { format: template, path: p }
      |                          ^^^^^^^^ this needs `template`

    error[E0132]: `pools.p` is a pool, which only SLURM can start
     --> cluster.yaml:8:44
      |
    8 | pools: { p: { nodes: 1, gpus: 8, launcher: tmux } }
      |                                            ^^^^ remove it, or write `slurm`

    error: 5 errors in cluster.yaml
    ");
}

#[test]
fn a_key_in_the_place_of_a_name_is_not_shown() {
    let said = top(
        "externals: { judge: { url: \"https://a.b/v1\", models: [m], kee: 1, api_key: { env: sk-abcdef1234567890 } } }",
    );
    assert_snapshot!(said, @r#"
    error[E0120]: unknown key `kee` in `externals.judge`
     --> cluster.yaml:3:59
      |
    3 | externals: { judge: { url: "https://a.b/v1", models: [m], kee: 1, api_key: { env: ******************* } } }
      |                                                           ^^^ not a key of this mapping
      |
      = help: known keys: `url`, `models`, `api_key`

    error[E0204]: a key stands where the name of a variable is meant
     --> cluster.yaml:3:83
      |
    3 | externals: { judge: { url: "https://a.b/v1", models: [m], kee: 1, api_key: { env: ******************* } } }
      |                                                                                   ^^^^^^^^^^^^^^^^^^^ this looks like the secret itself: name the variable that has it

    error: 2 errors in cluster.yaml
    "#);
}
