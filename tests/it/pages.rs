//! Pages that are generated: `UPDATE_PAGES=1` writes them, a test compares.

use std::path::Path;

/// Fails if the file is not `text`; with `UPDATE_PAGES` set it is written instead.
pub(crate) fn assert_in_step(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{file} is not in step: run the tests once with UPDATE_PAGES=1"
    );
}
