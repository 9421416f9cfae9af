//! The table of codes, its page, and the source are in step.

use std::collections::BTreeSet;
use std::path::Path;

use toolorch::diag::codes;

/// Codes that the source raises: `Code("E0120")`, outside the table and outside tests.
fn used(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            used(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !name.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for part in code.split("Code(\"").skip(1) {
                found.insert(part.chars().take(5).collect());
            }
        }
    }
}

#[test]
fn each_code_has_a_row_and_each_row_is_used() {
    let mut found = BTreeSet::new();
    used(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    let rows: BTreeSet<String> = codes::all().map(|row| row.code.to_owned()).collect();
    let missing: Vec<_> = found.difference(&rows).collect();
    let unused: Vec<_> = rows.difference(&found).collect();
    assert!(
        missing.is_empty(),
        "codes without a row in src/diag/codes: {missing:?}"
    );
    assert!(
        unused.is_empty(),
        "rows of src/diag/codes that nothing raises: {unused:?}"
    );
}

#[test]
fn the_page_is_the_table() {
    crate::pages::assert_in_step("docs/CODES.md", &codes::markdown());
}
