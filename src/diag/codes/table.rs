//! The table of all codes, and its page.

use std::fmt::Write as _;

use super::{environment, evaluation, models, names, nodes, resources, structure};

/// What there is to say about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code, such as `E0120`: severity letter, two digits of family, two digits.
    pub code: &'static str,
    /// The finding in a few words, lower case.
    pub title: &'static str,
    /// Why it is one, with an example and what to do: Markdown paragraphs.
    pub text: &'static str,
}

/// The families, in the order of their numbers, with their headings.
const FAMILIES: &[(&str, &[CodeInfo])] = &[
    ("Structure of the YAML", structure::ROWS),
    ("Names", names::ROWS),
    ("Ports, GPUs and nodes", resources::ROWS),
    ("Models, parsers and context", models::ROWS),
    ("Evaluations and datasets", evaluation::ROWS),
    ("Environment and paths", environment::ROWS),
    ("A look at the machines", nodes::ROWS),
];

/// Every code, by family.
pub fn all() -> impl Iterator<Item = &'static CodeInfo> {
    FAMILIES.iter().flat_map(|(_, rows)| rows.iter())
}

/// The row of a code; letter case does not matter.
pub fn find(code: &str) -> Option<&'static CodeInfo> {
    all().find(|row| row.code.eq_ignore_ascii_case(code))
}

/// A line for each code, for `toolorch explain`.
pub fn list() -> String {
    let mut text = String::new();
    for row in all() {
        let _ = writeln!(text, "{}  {}", row.code, row.title);
    }
    text
}

/// The page `docs/CODES.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Diagnostic codes\n\n\
         Generated from `src/diag/codes/`; `toolorch explain WORD` prints one entry.\n\
         `E` stops everything, `W` is probably a mistake (`allow:` silences it, `--strict` makes it \
         count), `N` is worth knowing. Alarms of a run have words, at the end.\n",
    );
    for (heading, rows) in FAMILIES {
        if rows.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {heading}\n");
        for row in *rows {
            let _ = write!(page, "\n### {}: {}\n\n{}\n", row.code, row.title, row.text);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for row in all() {
            assert!(seen.insert(row.code), "{} is there twice", row.code);
            assert!(row.code.starts_with(['E', 'W', 'N']), "{}", row.code);
            assert_eq!(row.code.len(), 5, "{}", row.code);
            assert!(row.code[1..].chars().all(|c| c.is_ascii_digit()));
            assert!(!row.title.ends_with('.'), "{}", row.code);
            assert!(row.text.ends_with(['.', ')', '`']), "{}", row.code);
        }
    }

    #[test]
    fn rows_are_sorted_within_their_family() {
        for (heading, rows) in FAMILIES {
            let numbers: Vec<&str> = rows.iter().map(|row| &row.code[1..]).collect();
            assert!(numbers.is_sorted(), "{heading}: {numbers:?}");
        }
    }
}
