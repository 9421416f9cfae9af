//! The table of codes, its page, and the source are in step.

use std::collections::BTreeSet;
use std::path::Path;

use toolorch::diag::{alarms, codes, exits};

/// What the program is made of, outside of tests, as one text; white space is one blank.
fn source(dir: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            all += &source(&path);
        } else if [".rs", ".sh"].iter().any(|end| name.ends_with(end))
            && !name.ends_with("tests.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let words: Vec<&str> = code.split_whitespace().collect();
            all += &words.join(" ");
        }
    }
    all
}

fn source_of(folder: &str) -> String {
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

/// What follows each `mark`, up to what is no letter, digit or hyphen.
fn after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = String> + 'a {
    let word = |part: &str| {
        let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        part.chars().take_while(fits).collect()
    };
    text.split(mark).skip(1).map(word)
}

/// Nothing is used without a row, and no row without a use.
fn assert_same(used: &BTreeSet<String>, rows: &BTreeSet<String>, table: &str) {
    let missing: Vec<_> = used.difference(rows).collect();
    assert!(missing.is_empty(), "without a row in {table}: {missing:?}");
    let unused: Vec<_> = rows.difference(used).collect();
    assert!(
        unused.is_empty(),
        "rows of {table} that nothing raises: {unused:?}"
    );
}

#[test]
fn each_code_has_a_row_and_each_row_is_used() {
    // `Code("E0120")`, outside the table.
    let used = after(&source_of("src"), "Code(\"").collect();
    let rows = codes::all().map(|row| row.code.to_owned()).collect();
    assert_same(&used, &rows, "src/diag/codes");
}

/// A word that is raised through a variable is held to the table where it is raised, in debug builds.
#[test]
fn each_alarm_has_a_row_and_each_row_is_used() {
    let rust = source_of("src/supervise") + &source_of("src/cli");
    let scripts = source_of("templates/lib");
    let raised = [".alarm( \"", ".alarm(\"", ".tell(plan, \"", "alarm: \""];
    let raised = raised.iter().flat_map(|mark| after(&rust, mark));
    let raised = raised.chain(after(&scripts, "call_notify "));
    let raised: BTreeSet<String> = raised.filter(|word| !word.is_empty()).collect();
    let rows: BTreeSet<String> = alarms::all().map(|row| row.word.to_owned()).collect();
    let named = |word: &&String| {
        let quoted = rust.contains(&format!("\"{word}\""));
        quoted || scripts.contains(&format!("call_notify {word} "))
    };
    let mut used: BTreeSet<String> = rows.iter().filter(named).cloned().collect();
    used.extend(raised);
    assert_same(&used, &rows, "src/diag/alarms.rs");
}

#[test]
fn the_page_is_the_table() {
    let page = codes::markdown() + &alarms::markdown() + &exits::markdown();
    crate::pages::assert_in_step("docs/CODES.md", &page);
}
