//! `--set PATH=VALUE`.

use insta::assert_snapshot;
use toolorch::base::FieldPath;
use toolorch::diag::human;
use toolorch::spec::{Origin, Override, Parsed, Source, parse};

const YAML: &str = "version: 1\nname: a\nnodes: { 172.27.31.10: { gpus: 8 } }\n\
                    models: { m: { model: m, node: 172.27.31.10, replicas: 4 } }\n";

fn with(sets: &[&str]) -> Parsed {
    let overrides: Vec<Override> = sets
        .iter()
        .map(|set| Override::parse(set).unwrap())
        .collect();
    parse(Source::new("cluster.yaml", YAML.as_bytes()), &overrides)
}

fn shown(sets: &[&str]) -> String {
    let parsed = with(sets);
    human(&parsed.diagnostics, &parsed.document, false)
}

#[test]
fn values_are_set_and_their_origin_is_known() {
    let parsed = with(&[
        "nodes.\"172.27.31.10\".gpus=4",
        "models.m.env.set.A=0.10",
        "models.m.args.seed=7",
        "launcher=tmux",
    ]);
    assert_eq!(parsed.diagnostics, []);
    let spec = parsed.spec.unwrap();
    assert_eq!(spec.nodes["172.27.31.10"].gpus.indices().len(), 4);
    assert_eq!(spec.models["m"].env.as_ref().unwrap().set["A"].0, "0.10");
    assert_eq!(spec.models["m"].args["seed"], 7);
    let origin = |path: &str| parsed.document.origin(&FieldPath::parse(path).unwrap());
    assert!(matches!(origin("launcher"), Some(Origin::CommandLine(_))));
    assert!(matches!(origin("models.m.replicas"), Some(Origin::Yaml(_))));
    assert_eq!(origin("models.m.port"), None);
}

#[test]
fn an_unknown_key_is_refused() {
    assert_snapshot!(shown(&["models.m.replica=2"]), @r"
    error[E0140]: `--set models.m.replica`: there is no `replica`
     --> command line:1:7
      |
    1 | --set models.m.replica=2
      |       ^^^^^^^^^^^^^^^^ not there
      |
      = help: did you mean `replicas`?

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn an_unknown_model_is_refused() {
    assert_snapshot!(shown(&["models.n.replicas=2"]), @r"
    error[E0140]: `--set models.n.replicas`: there is no `n`, only `m`
     --> command line:1:7
      |
    1 | --set models.n.replicas=2
      |       ^^^^^^^^^^^^^^^^^ not there

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_wrong_value_is_shown_on_the_command_line() {
    assert_snapshot!(shown(&["models.m.replicas=0"]), @r"
    error[E0124]: `models.m.replicas` must be a whole number from 1 to 100000
     --> command line:1:25
      |
    1 | --set models.m.replicas=0
      |                         ^ out of range

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_list_is_refused() {
    assert_snapshot!(shown(&["nodes.\"172.27.31.10\".gpus=[4, 5]"]), @r#"
    error[E0140]: `--set nodes."172.27.31.10".gpus` needs one value
     --> command line:1:33
      |
    1 | --set nodes."172.27.31.10".gpus=[4, 5]
      |                                 ^^^^^^ not a single value
      |
      = help: lists and mappings go into the YAML

    error: 1 error in cluster.yaml
    "#);
}

#[test]
fn what_is_not_path_and_value_is_a_usage_error() {
    for bad in ["models", "=4", "a..b=1", "a[x]=1"] {
        assert!(Override::parse(bad).is_err(), "{bad}");
    }
}
