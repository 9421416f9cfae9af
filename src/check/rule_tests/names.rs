//! Names, `allow`, credentials.

use insta::assert_snapshot;

use super::{fine, said};

#[test]
fn one_namespace() {
    assert_snapshot!(said("models:\n  x: { model: Qwen/Qwen3-8B, node: n }\nservices:\n  x: { node: n, port: 8765, command: [sleep, \"9\"] }\n"), @r#"
    error[E0211]: two things are called `x`
     --> a.yaml:8:3
      |
    6 |   x: { model: Qwen/Qwen3-8B, node: n }
      |   - a model of the same name
    7 | services:
    8 |   x: { node: n, port: 8765, command: [sleep, "9"] }
      |   ^ a service
      |
      = help: models, services, externals and evaluations share one namespace: commands and client configurations name them alike

    error: 1 error in a.yaml
    "#);
    fine(
        "models:\n  x: { model: Qwen/Qwen3-8B, node: n }\nservices:\n  y: { node: n, port: 8765, command: [sleep, \"9\"] }\n",
    );
}

#[test]
fn a_unit_s_name_is_taken() {
    assert_snapshot!(said("models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2 }\n  a-1: { model: Qwen/Qwen3-8B, node: n }\n"), @r"
    error[E0212]: `a-1` is also the name of replica 1 of `a`
     --> a.yaml:7:3
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, replicas: 2 }
      |   - its unit is called `a-1`
    7 |   a-1: { model: Qwen/Qwen3-8B, node: n }
      |   ^^^ a model
      |
      = help: units, logs and sessions go by these names: rename one of the two

    error: 1 error in a.yaml
    ");
    fine(
        "models:\n  a: { model: Qwen/Qwen3-8B, node: n, replicas: 2 }\n  a-2: { model: Qwen/Qwen3-8B, node: n }\n",
    );
}

#[test]
fn reserved_names() {
    assert_snapshot!(said("pools: { n: { nodes: 1, gpus: 8 } }\n"), @r"
    error[E0213]: `n` is a node and a pool
     --> a.yaml:5:10
      |
    5 | pools: { n: { nodes: 1, gpus: 8 } }
      |          ^ rename one

    error: 1 error in a.yaml
    ");
}

#[test]
fn names_lead_somewhere() {
    assert_snapshot!(said("models:\n  ab: { model: Qwen/Qwen3-8B, node: m }\nevals:\n  e:\n    command: [x]\n    dataset: d\n    results: r\n    requires: [abc]\n    context: { ad: { prompt: 1, output: 1 } }\n    after: { f: ended }\n"), @r"
    error[E0210]: there is no node or pool `m`
     --> a.yaml:6:37
      |
    6 |   ab: { model: Qwen/Qwen3-8B, node: m }
      |                                     ^ not a key of `nodes` or `pools`

    error[E0210]: there is no evaluation `f`
      --> a.yaml:14:14
       |
    14 |     after: { f: ended }
       |              ^ not a key of `evals`

    error[E0210]: there is no model, service or external `abc`
      --> a.yaml:12:16
       |
    12 |     requires: [abc]
       |                ^^^ nothing of this name
       |
    help: did you mean `ab`?
       |
    12 -     requires: [abc]
    12 +     requires: [ab]
       |

    error[E0210]: there is no model `ad`
      --> a.yaml:13:16
       |
    13 |     context: { ad: { prompt: 1, output: 1 } }
       |                ^^ nothing of this name
       |
    help: did you mean `ab`?
       |
    13 -     context: { ad: { prompt: 1, output: 1 } }
    13 +     context: { ab: { prompt: 1, output: 1 } }
       |

    error: 4 errors in a.yaml
    ");
    fine(
        "models:\n  ab: { model: Qwen/Qwen3-8B, node: n, max_model_len: 99 }\nevals:\n  e:\n    command: [x]\n    dataset: d\n    results: r\n    requires: [ab]\n    context: { ab: { prompt: 1, output: 1 } }\n",
    );
}

#[test]
fn allow_silences_warnings_and_nothing_else() {
    let shared = "models:\n  a: { model: Qwen/Qwen3-8B, node: n, gpus: [0] }\nservices:\n  b: { node: n, port: 8765, gpus: [0], command: [x] }\n";
    assert_snapshot!(said(shared), @r"
    warning[W0311]: GPU 0 of `n` is used by `a-0` and `b`
     --> a.yaml:8:35
      |
    6 |   a: { model: Qwen/Qwen3-8B, node: n, gpus: [0] }
      |                                             --- `a-0` takes 90 % of its memory
    7 | services:
    8 |   b: { node: n, port: 8765, gpus: [0], command: [x] }
      |                                   ^^^ what `b` takes is not known
      |
      = help: give each its own GPU, or set `gpu_memory_utilization` so that they add up to at most 1

    warning: 1 warning in a.yaml
    ");
    fine(&format!(
        "{shared}allow: [{{ code: W0311, reason: it is small }}]\n"
    ));
    assert_snapshot!(said("allow:\n  - { code: W0311, reason: x }\n  - { code: E0301, reason: x }\n  - { code: W9999, reason: x }\n"), @r"
    note[N0612]: `W0311` is allowed and does not occur
     --> a.yaml:6:13
      |
    6 |   - { code: W0311, reason: x }
      |             ^^^^^ can be removed

    error[E0611]: `E0301` cannot be allowed
     --> a.yaml:7:13
      |
    7 |   - { code: E0301, reason: x }
      |             ^^^^^ only warnings can
      |
      = help: an error stops everything because nothing good can come of it; a note needs no leave

    error[E0610]: there is no code `W9999`
     --> a.yaml:8:13
      |
    8 |   - { code: W9999, reason: x }
      |             ^^^^^ nothing is called so

    error: 2 errors, 1 note in a.yaml
    ");
}

#[test]
fn keys_do_not_stand_in_the_yaml() {
    let key = format!("sk-{}", "Ab1".repeat(8));
    let text = said(&format!("env: {{ set: {{ OPENAI_API_KEY: {key} }} }}\n"));
    assert!(!text.contains(&key));
    assert_snapshot!(text, @r"
    error[E0601]: `env.set.OPENAI_API_KEY` holds what looks like an OpenAI API key
     --> a.yaml:5:31
      |
    5 | env: { set: { OPENAI_API_KEY: *************************** } }
      |                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^ the secret itself, not shown here
      |
      = help: put it into a variable and name that: `pass: [NAME]`, or `api_key: { env: NAME }`
      = help: a key that was committed or shared must be revoked

    error: 1 error in a.yaml
    ");
    fine("env: { set: { OPENAI_API_KEY: EMPTY } }\n");
}

#[test]
fn what_would_be_read_as_something_else() {
    let text = said(
        "models: { m: { model: --port, node: n } }\nenv: { umask: \"0089\" }\nslurm: { login: -oProxyCommand=x }\n",
    );
    assert_snapshot!(text, @r#"
    error[E0428]: `--port` would be read as an option, not as a model
     --> a.yaml:5:23
      |
    5 | models: { m: { model: --port, node: n } }
      |                       ^^^^^^ it begins with `-`
      |
      = help: a folder of such a name can be written as `./-NAME`

    error[E0202]: `-oProxyCommand=x` is no host
     --> a.yaml:7:17
      |
    7 | slurm: { login: -oProxyCommand=x }
      |                 ^^^^^^^^^^^^^^^^ letters, digits, `.`, `-`, `_` and `:`, and not first a `-`
      |
      = help: write it as `HOST`, `USER@HOST` or `HOST:PORT`

    error[E0205]: a umask is no octal number
     --> a.yaml:6:15
      |
    6 | env: { umask: "0089" }
      |               ^^^^^^ one to four digits from 0 to 7
      |
      = help: write it in quotes, such as `umask: "027"`

    error: 3 errors in a.yaml
    "#);
    fine("models: { m: { model: ./-x, node: n } }\nenv: { umask: \"027\" }\n");
}
