//! Any argument and any value reaches the program byte for byte.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use toolorch::render::context::{UnitContext, Variable};

use crate::unit_script::lab::{python, write_unit};

/// Writes its arguments and the variables named `T_…` into the file of its first argument, as JSON.
pub(crate) const DUMP: &str = r"
import json, os, sys
words = [os.fsencode(word).decode('utf8') for word in sys.argv[2:]]
values = {k.decode(): v.decode('utf8') for k, v in os.environb.items() if k.startswith(b'T_')}
with open(sys.argv[1] + '.tmp', 'w') as file: json.dump([words, values], file)
os.rename(sys.argv[1] + '.tmp', sys.argv[1])
";

/// What the program got.
pub(crate) type Got = (Vec<String>, std::collections::BTreeMap<String, String>);

/// A unit that dumps into `file`.
pub(crate) fn dumping(name: &str, file: &Path, words: &[String], values: &[String]) -> UnitContext {
    let mut argv = vec![
        python().to_owned(),
        "-c".to_owned(),
        DUMP.to_owned(),
        file.to_string_lossy().into_owned(),
    ];
    argv.extend_from_slice(words);
    UnitContext {
        name: name.to_owned(),
        cluster: "c".to_owned(),
        kind: "service".to_owned(),
        argv,
        set: values
            .iter()
            .enumerate()
            .map(|(n, value)| Variable {
                name: format!("T_{n}"),
                value: value.clone(),
            })
            .collect(),
        grace_s: 5,
        ..UnitContext::default()
    }
}

pub(crate) fn read(file: &Path) -> Got {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

pub(crate) fn expected(words: &[String], values: &[String]) -> Got {
    let named = values
        .iter()
        .enumerate()
        .map(|(n, value)| (format!("T_{n}"), value.clone()));
    (words.to_vec(), named.collect())
}

/// Text that has hurt a shell before, and any other without NUL.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let trouble = prop::sample::select(vec![
        "$(touch pwned)",
        "`touch pwned`",
        "${HOME}",
        "$'",
        "'",
        "\"",
        "\\",
        "\n",
        "\r\n",
        "\t",
        "!",
        "!!",
        "*",
        "?",
        "[a]",
        "~",
        "~/x",
        "#",
        ";",
        "&&",
        "|",
        "<",
        ">",
        "=",
        "%",
        "{a,b}",
        "{{ x }}",
        "{% raw %}",
        "{%- endraw %}",
        "{# x #}",
        "${#x}",
        " ",
        "",
        "-n",
        "--",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "ü",
        "漢字",
        "\u{202e}",
        "\u{feff}",
        "🦀",
        "EOF",
        "0x1f",
        "\u{1b}[2J",
    ])
    .prop_map(str::to_owned);
    let piece = prop_oneof![3 => trouble, 1 => "[^\0]{0,6}"];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn through_the_unit_script(words in prop::collection::vec(text(), 0..6), values in prop::collection::vec(text(), 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dump");
        let script = write_unit(dir.path(), &dumping("u", &file, &words, &values));
        let run = dir.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
        let status = Command::new("bash")
            .arg(&script)
            .args(["run", "--run", &run])
            .current_dir(dir.path())
            .env("TOOLORCH_STATE", dir.path().join("state"))
            .env("HOME", dir.path())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        prop_assert!(status.success());
        prop_assert_eq!(read(&file), expected(&words, &values));
        prop_assert!(!dir.path().join("pwned").exists());
    }
}
