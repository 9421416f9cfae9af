//! What is no cluster YAML at all: one clear finding, at once.

use std::fmt::Write as _;
use std::time::Duration;

use insta::assert_snapshot;
use toolorch::diag::human;
use toolorch::spec::{Source, parse};

/// The processor time of this thread, which does not pass while a busy machine does something else.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().unwrap()
}

/// What a user sees; fails if that is more than one finding or takes seconds of processor time.
fn shown(bytes: &[u8]) -> String {
    let start = spent();
    let parsed = parse(Source::new("cluster.yaml", bytes), &[]);
    let text = human(&parsed.diagnostics, &parsed.document, false);
    let took = spent().saturating_sub(start);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(parsed.diagnostics.len(), 1, "{text}");
    assert_eq!(parsed.spec, None);
    text
}

#[test]
fn an_empty_file() {
    assert_snapshot!(shown(b""), @r"
    error[E0103]: `cluster.yaml` is empty
     |
     = help: `toolorch init` writes a commented starter

    error: 1 error in cluster.yaml
    ");
    assert_eq!(shown(b""), shown(b"\xef\xbb\xbf"));
}

#[test]
fn only_comments() {
    assert_snapshot!(shown(b"# nothing\n---\n\n"), @r"
    error[E0103]: `cluster.yaml` is empty
     --> cluster.yaml:1:1
      |
    1 | # nothing
      | ^
      |
      = help: `toolorch init` writes a commented starter

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_hundred_megabytes() {
    let bytes = vec![b'a'; 100_000_000];
    assert_snapshot!(shown(&bytes), @r"
    error[E0101]: `cluster.yaml` is larger than 1 MiB
     |
     = help: a cluster YAML is a page or two: is this the right file?

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn what_the_system_cannot_read() {
    let parsed = parse(Source::unreadable("cluster.yaml", "is a directory"), &[]);
    assert_snapshot!(human(&parsed.diagnostics, &parsed.document, false), @r"
    error[E0100]: cannot read `cluster.yaml`: is a directory

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn an_alias_bomb() {
    let mut yaml = String::from("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let _ = writeln!(
            yaml,
            "a{level}: &a{level} [{}]",
            [alias.as_str(); 10].join(", ")
        );
    }
    assert_snapshot!(shown(yaml.as_bytes()), @r"
    error[E0107]: the YAML has more than 100,000 values
     --> cluster.yaml:6:35
      |
    6 | a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
      |                                   ^^^ the limit is reached here
      |
      = help: aliases (`*name`) count as often as they are used

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_hundred_thousand_nested_brackets() {
    assert_snapshot!(shown(&vec![b'['; 100_000]), @r"
    error[E0106]: values are nested more than 64 deep
     --> cluster.yaml:1:65
      |
    1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
      |                                                                 ^ the limit is reached here

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_hundred_thousand_nested_braces_and_lists() {
    assert!(shown("{a: ".repeat(100_000).as_bytes()).contains("E0106"));
    assert!(shown("- ".repeat(100_000).as_bytes()).contains("E0106"));
}

#[test]
fn bytes_that_are_not_utf_8() {
    assert_snapshot!(shown(b"version: 1\r\nname: caf\xe9 # latin 1\n"), @r"
    error[E0102]: `cluster.yaml` is not UTF-8
     --> cluster.yaml:2:10
      |
    2 | name: caf� # latin 1
      |          ^ the byte 0xe9 is not part of a character
      |
      = help: save the file as UTF-8

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_tab_as_indentation() {
    assert_snapshot!(shown(b"version: 1\nnodes:\n\ta: { gpus: 8 }\n"), @r"
    error[E0105]: a tab stands in the indentation
     --> cluster.yaml:3:1
      |
    3 |     a: { gpus: 8 }
      | ^ YAML allows only spaces here
      |
      = help: replace tabs by spaces

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_tab_after_a_value_that_seems_to_go_on() {
    assert_snapshot!(shown(b"version: 1\n\tname: a\n"), @r"
    error[E0105]: a tab stands in the indentation
     --> cluster.yaml:2:1
      |
    2 |     name: a
      | ^ YAML allows only spaces here
      |
      = help: replace tabs by spaces

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_nul_byte() {
    assert_snapshot!(shown(b"version: 1\nname: a\0b\n"), @r"
    error[E0112]: the control character U+0000 stands in the text
     --> cluster.yaml:2:8
      |
    2 | name: a␀b
      |        ^ here

    error: 1 error in cluster.yaml
    ");
}

#[test]
fn a_text_that_is_no_mapping() {
    assert_snapshot!(shown(b"hello\n"), @r"
    error[E0122]: the cluster must be a mapping
     --> cluster.yaml:1:1
      |
    1 | hello
      | ^^^^^ this is a text
      |
      = help: its keys: `version`, `name`, `vllm`, `launcher`, `env`, `hf`, `slurm`, `nodes`, `pools`, `models`, `services`, `externals`, `client_config`, `client_configs`, `evals`, `rehearse`, `sim`, `notify`, `idle`, `when_done`, `allow`

    error: 1 error in cluster.yaml
    ");
}

/// Shapes of input on which a careless reader takes quadratic time: minutes, not the fractions of a
/// second of processor time that they take here.
#[test]
fn much_of_anything_takes_time_in_proportion() {
    let much = |unit: &str| unit.repeat((1 << 18) / unit.len());
    for unit in [
        "a", "a,", "a: 1\n", "- a\n", "\"", "'a' ", "#\n", "[], ", "? a\n", "&a ", "*a ", "|\n",
        "\n", " ", "a\n", "%A\n", "---\n", ": ", "\u{e9}",
    ] {
        for text in [
            much(unit),
            format!("[{}", much(unit)),
            format!("a: |\n {}", much(unit)),
        ] {
            let bytes = &text.as_bytes()[..text.len()];
            let start = spent();
            let parsed = parse(Source::new("cluster.yaml", bytes), &[]);
            let took = spent().saturating_sub(start);
            assert!(took < Duration::from_secs(5), "{unit:?}: {took:?}");
            assert_eq!(parsed.spec, None);
        }
    }
}
