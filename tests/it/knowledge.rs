//! The knowledge tables are generated: this regenerates them from `src/knowledge/data/vllm.yaml` in memory and
//! compares. `UPDATE=1 cargo test --test it knowledge` writes them.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod data;
mod emit;
mod expand;

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/knowledge")
}

#[test]
fn tables_follow_the_data() {
    let text = std::fs::read_to_string(folder().join("data/vllm.yaml")).unwrap();
    let data: data::Data = serde_yaml::from_str(&text).unwrap();
    let update = std::env::var_os("UPDATE").is_some();
    for (name, expected) in emit::files(&data) {
        let path = folder().join("tables").join(name);
        if update {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "`src/knowledge/tables/{name}` is older than `data/vllm.yaml`; run `UPDATE=1 cargo test --test it knowledge`"
        );
    }
}

#[test]
fn small_regexes_expand_to_fragments() {
    assert_eq!(
        expand::fragments("gpt[-_]oss"),
        [vec!["gpt-oss"], vec!["gpt_oss"]]
    );
    assert_eq!(
        expand::fragments("glm-(5|4\\.7)"),
        [vec!["glm-5"], vec!["glm-4.7"]]
    );
    assert_eq!(
        expand::fragments("qwen3\\.[5-6]"),
        [vec!["qwen3.5"], vec!["qwen3.6"]]
    );
    assert_eq!(
        expand::fragments("a.*b|c[x]?d"),
        [vec!["a", "b"], vec!["cxd"], vec!["cd"]]
    );
}

#[test]
fn needles_are_texts_that_every_match_holds() {
    assert_eq!(
        expand::needles("OSError: \\[Errno 98\\] Address already in use"),
        ["OSError: [Errno 98] Address already in use"]
    );
    assert_eq!(
        expand::needles("(NCCL error|ncclSystemError)"),
        ["NCCL error", "ncclSystemError"]
    );
    assert_eq!(
        expand::needles("max models?'s seq len \\((\\d+)\\)"),
        ["'s seq len ("]
    );
}
