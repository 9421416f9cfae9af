//! Tests of the command-line parser; apart from it to keep both files short.

use super::argparse::{Parsed, human_integer, parse, with_config};
use super::refusal::Refusal;
use crate::knowledge::release::Release;

const V12: Release = Release::new(0, 12, 0);

fn at(release: Release, args: &[&str]) -> Result<Parsed, Refusal> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    parse(&args, release)
}

fn ok(args: &[&str]) -> Parsed {
    at(V12, args).unwrap_or_else(|refusal| panic!("{}", refusal.stderr))
}

fn refused(args: &[&str]) -> String {
    let refusal = at(V12, args).unwrap_err();
    assert_eq!(refusal.code, 2);
    refusal.stderr.lines().last().unwrap().to_owned()
}

#[test]
fn spellings_of_one_flag_are_one_flag() {
    for args in [
        ["m", "--max-model-len", "1024"].as_slice(),
        &["m", "--max_model_len", "1024"],
        &["m", "--max_model_len=1024"],
        &["m", "--max-model-l", "1024"],
        &["--max-model-len=1024", "m"],
    ] {
        let parsed = ok(args);
        assert_eq!(
            (parsed.model.as_deref(), parsed.value("--max-model-len")),
            (Some("m"), Some("1024")),
            "{args:?}"
        );
    }
    assert_eq!(
        ok(&["m", "-tp", "2"]).value("--tensor-parallel-size"),
        Some("2")
    );
}

#[test]
fn toggles_take_nothing_and_may_be_negated() {
    assert!(ok(&["m", "--enforce-eager"]).on("--enforce-eager"));
    assert_eq!(
        ok(&["m", "--no-enable-prefix-caching"]).value("--enable-prefix-caching"),
        Some("False")
    );
    assert_eq!(
        refused(&["m", "--enforce-eager=yes"]),
        "vllm serve: error: argument --enforce-eager/--no-enforce-eager: ignored explicit argument 'yes'"
    );
}

#[test]
fn many_values_and_json_by_dots() {
    let parsed = ok(&[
        "m",
        "--served-model-name",
        "a/b",
        "c",
        "--structured-outputs-config.backend",
        "xgrammar",
    ]);
    assert_eq!(parsed.values["--served-model-name"], ["a/b", "c"]);
    assert_eq!(
        parsed.value("--structured-outputs-config"),
        Some(r#"{"backend":"xgrammar"}"#)
    );
}

#[test]
fn what_the_release_lacks_is_unrecognized() {
    assert_eq!(
        refused(&["m", "--chat-template-kwargs", "{}", "--headless"]),
        "vllm: error: unrecognized arguments: --chat-template-kwargs {}"
    );
    assert_eq!(
        refused(&["m", "n"]),
        "vllm: error: unrecognized arguments: n"
    );
    assert!(at(V12, &["m", "--disable-log-requests"]).is_ok());
    assert!(at(Release::new(0, 32, 0), &["m", "--disable-log-requests"]).is_err());
}

#[test]
fn values_of_the_wrong_kind_are_refused_in_argparse_words() {
    assert_eq!(
        refused(&["m", "--port", "http"]),
        "vllm serve: error: argument --port: invalid int value: 'http'"
    );
    assert_eq!(
        refused(&["m", "--port"]),
        "vllm serve: error: argument --port: expected one argument"
    );
    assert_eq!(
        refused(&["m", "--served-model-name"]),
        "vllm serve: error: argument --served-model-name: expected at least one argument"
    );
    let choice = refused(&["m", "--dtype", "bf16"]);
    assert!(
        choice.starts_with(
            "vllm serve: error: argument --dtype: invalid choice: 'bf16' (choose from 'auto', "
        ),
        "{choice}"
    );
    let ambiguous = refused(&["m", "--max-num", "3"]);
    assert!(
        ambiguous
            .starts_with("vllm serve: error: ambiguous option: --max-num could match --max-num-"),
        "{ambiguous}"
    );
}

#[test]
fn the_optimization_level_moved_to_its_own_flag() {
    assert_eq!(ok(&["m", "-O3"]).value("--optimization-level"), Some("3"));
    let old = at(Release::new(0, 10, 2), &["m", "-O", "3"]).unwrap();
    assert_eq!(old.value("--compilation-config"), Some("3"));
}

#[test]
fn a_config_file_stands_where_the_model_ends() {
    let load = |path: &str| {
        (path == "c.yaml").then(|| {
            serde_yaml::from_str("port: 1\nenforce-eager: true\nserved-model-name: [a, b]\n")
                .unwrap()
        })
    };
    let args: Vec<String> = ["m", "--config", "c.yaml", "--port", "2"]
        .map(str::to_owned)
        .to_vec();
    let words = with_config(&args, load).unwrap();
    assert_eq!(
        words,
        [
            "m",
            "--port",
            "1",
            "--enforce-eager",
            "--served-model-name",
            "a",
            "b",
            "--port",
            "2"
        ]
    );
    assert_eq!(parse(&words, V12).unwrap().value("--port"), Some("2"));
    let gone: Vec<String> = ["m", "--config", "d.yaml"].map(str::to_owned).to_vec();
    assert_eq!(with_config(&gone, load).unwrap_err().code, 1);
}

#[test]
fn a_negative_number_is_a_value() {
    assert_eq!(
        ok(&["m", "--max-model-len", "-1"]).value("--max-model-len"),
        Some("-1")
    );
}

#[test]
fn small_letters_are_thousands_and_capitals_are_powers_of_two() {
    let cases = [
        ("32k", Some(32_000)),
        ("32K", Some(32_768)),
        ("1.5k", Some(1_500)),
        ("1.5K", None),
        ("7", Some(7)),
        ("x", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(human_integer(text), expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_words_are_parsed_or_refused(words in proptest::collection::vec("(--?)?[a-z=.{}_0-9-]{0,12}", 0..6)) {
        let _ = parse(&words, V12);
    }
}
