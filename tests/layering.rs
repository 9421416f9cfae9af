//! The house stands: no floor leans on one above it, pure files stay pure, files stay small.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

#[path = "layering/lexer.rs"]
mod lexer;
#[path = "layering/rules.rs"]
mod rules;

use std::fs;
use std::path::Path;

use rules::{FLOORS, File, broken, test_files};

/// All Rust files below `folder`, with their paths relative to `src`.
fn sources(folder: &Path, prefix: &str, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            sources(&entry.path(), &format!("{path}/"), into);
        } else if Path::new(&name).extension().is_some_and(|ext| ext == "rs") {
            into.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[test]
fn the_house_keeps_its_rules() {
    let mut all = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut all,
    );
    all.sort();
    assert!(all.len() > 30, "the sources were not found");
    let files: Vec<File> = all
        .iter()
        .map(|(path, source)| File { path, source })
        .collect();
    let tests: Vec<String> = files.iter().flat_map(test_files).collect();
    let found: Vec<String> = files
        .iter()
        .filter(|file| !tests.iter().any(|test| file.path.starts_with(test)))
        .flat_map(broken)
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_floor_is_there() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for floor in FLOORS {
        assert!(lib.contains(&format!("pub mod {floor};")), "{floor}");
    }
}

/// What the rules say of `source`, as if it stood at `path`.
fn said(path: &str, source: &str) -> Vec<String> {
    broken(&File { path, source })
}

#[test]
fn an_upward_edge_is_seen() {
    for planted in [
        "use crate::cli::Printer;",
        "use crate::{base::Port, cli::Printer};",
        "use crate::{\n    base,\n    view::live as l,\n};",
        "fn f() { crate::world::look(); }",
        "use super::super::cli;",
        "use toolorch::cli;",
        "use crate::help;",
    ] {
        assert_eq!(said("plan/place.rs", planted).len(), 1, "{planted}");
    }
    for fine in [
        "use crate::base::Port;",
        "use crate::{base::Port, spec::{model::Node, Tree}};",
        "use super::types::Plan;",
        "// crate::cli is above\nconst A: &str = \"crate::cli::x\";",
        "#[cfg(test)]\nmod tests { use crate::cli::x; }",
    ] {
        assert_eq!(said("plan/place.rs", fine), [""; 0], "{fine}");
    }
    assert_eq!(
        said("plan/deep/place.rs", "use super::super::cli;"),
        [""; 0]
    );
}

#[test]
fn an_effect_in_a_pure_file_is_seen() {
    for planted in [
        "use std::fs;",
        "use std::{collections::BTreeMap, env};",
        "fn f() { let _ = std::process::id(); }",
        "async fn f() { tokio::time::sleep(d).await }",
        "use std::net::IpAddr;",
        "fn f(p: &Path) -> bool { p.exists() }",
        "fn f() { let _ = Instant::now(); }",
        "fn f() { let _ = jiff::Timestamp::now(); }",
        "use std::time::{Duration, SystemTime};",
        "use reqwest::Client;",
        "impl From<rustix::io::Errno> for E {}",
        "use std::thread;",
    ] {
        assert_eq!(said("plan/place.rs", planted).len(), 1, "{planted}");
        assert_eq!(said("world/look.rs", planted), [""; 0], "{planted}");
    }
    for fine in [
        "use std::time::Duration;",
        "const V: &str = env!(\"CARGO_PKG_VERSION\");",
        "fn f(exists: bool) -> bool { exists }",
        "/// Uses std::fs later.\nfn f() {}",
        "const QUOTE: char = '\"'; const A: &str = r#\"std::fs::read(\"x\")\"#;",
    ] {
        assert_eq!(said("plan/place.rs", fine), [""; 0], "{fine}");
    }
    for home in [
        "run/store/file.rs",
        "view/live/mod.rs",
        "view/serve.rs",
        "supervise/driver.rs",
    ] {
        assert_eq!(said(home, "use std::fs;"), [""; 0], "{home}");
    }
    assert_eq!(said("view/plain.rs", "use std::fs;").len(), 1);
}

#[test]
fn bad_manners_are_seen() {
    for planted in [
        "#[serde(flatten)]\nstruct A;",
        "#[serde(tag = \"x\", untagged)]\nenum A {}",
        "fn f() { todo!() }",
        "fn f() { unimplemented!(\"later\") }",
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(dead_code)]",
        &"fn f() {}\n".repeat(501),
    ] {
        assert_eq!(said("plan/place.rs", planted).len(), 1, "{planted}");
    }
    assert_eq!(said("plan/place.rs", &"fn f() {}\n".repeat(500)), [""; 0]);
    assert_eq!(said("plan/place.rs", &"// why\n\n".repeat(900)), [""; 0]);
    assert_eq!(
        said("knowledge/tables/flags.rs", &"a\n".repeat(900)),
        [""; 0]
    );
}

#[test]
fn logic_in_mod_rs_is_seen() {
    let fine = "//! Docs; with a semicolon.\n\nmod a;\n#[cfg(test)]\nmod tests;\npub(crate) mod b;\npub use a::{A, B};\nuse b::C;\n";
    assert_eq!(said("plan/mod.rs", fine), [""; 0]);
    for planted in [
        "mod a;\npub fn f() {}\n",
        "mod a {\n    mod b;\n}\n",
        "const A: u8 = 1;\n",
    ] {
        assert_eq!(said("plan/mod.rs", planted).len(), 1, "{planted}");
    }
}

#[test]
fn files_for_tests_alone_are_found() {
    let of = |path, source| test_files(&File { path, source });
    assert_eq!(
        of(
            "view/mod.rs",
            "mod a;\n#[cfg(test)]\nmod testing;\n#[cfg(test)]\nmod tests { }\n"
        ),
        ["view/testing.rs", "view/testing/"]
    );
    assert_eq!(
        of("lib.rs", "#[cfg(test)] pub(crate) mod t;"),
        ["t.rs", "t/"]
    );
}
