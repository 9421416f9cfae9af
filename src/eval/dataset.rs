//! A dataset read line by line: its ids, its digest, and what is wrong with it.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::fields;
use super::ids::{id_of, is_safe_file_name};
use crate::base::{clean, hex};
use crate::facts::{DatasetProblem, DatasetSummary};

/// How a Git-LFS pointer begins.
const LFS: &str = "version https://git-lfs.github.com/spec/";
/// How many problems are kept.
const MOST_PROBLEMS: usize = 20;
/// How many keys of a line without an id are named.
const MOST_KEYS: usize = 8;

/// Takes the lines of a dataset, one after the other, and sums them up.
#[derive(Debug)]
pub struct DatasetReader {
    id_fields: Vec<String>,
    hash: Sha256,
    line: u64,
    pointer: bool,
    ids: Vec<String>,
    seen: HashMap<String, u64>,
    problems: Vec<DatasetProblem>,
    kinds: [usize; KINDS],
}

impl DatasetReader {
    /// A reader that looks for ids in these keys.
    pub fn new(id_fields: &[String]) -> Self {
        Self {
            id_fields: id_fields.to_vec(),
            hash: Sha256::new(),
            line: 0,
            pointer: false,
            ids: Vec::new(),
            seen: HashMap::new(),
            problems: Vec::new(),
            kinds: [0; KINDS],
        }
    }

    /// Takes the next line, with its line end if it has one.
    pub fn line(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.line += 1;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.trim(),
            Err(error) => return self.not_json(format!("not UTF-8: {error}")),
        };
        if self.line == 1 && text.starts_with(LFS) {
            self.pointer = true;
            self.add(DatasetProblem::LfsPointer);
        }
        if self.pointer || text.is_empty() {
            return;
        }
        if text.starts_with('\u{feff}') {
            return self.not_json("it begins with a byte-order mark".to_owned());
        }
        let id_fields = &self.id_fields;
        match fields::read(text, |key| id_fields.iter().any(|field| field == key)) {
            Ok(found) => match id_of(&found.values, id_fields) {
                Some(id) => self.id(id),
                None => self.add(DatasetProblem::NoId {
                    line: self.line,
                    keys: found.keys.into_iter().take(MOST_KEYS).collect(),
                }),
            },
            Err(_) if !text.starts_with('{') => {
                let begin: String = text.chars().take(20).collect();
                self.not_json(format!("it begins with `{}`, not with `{{`", clean(&begin)));
            }
            Err(why) => self.not_json(why.replace(" line 1 column ", " column ")),
        }
    }

    fn not_json(&mut self, why: String) {
        let line = self.line;
        self.add(DatasetProblem::NotJson { line, why });
    }

    fn id(&mut self, id: String) {
        let line = self.line;
        if let Some(&first) = self.seen.get(&id) {
            let second = line;
            return self.add(DatasetProblem::DuplicateId { id, first, second });
        }
        if !is_safe_file_name(&id) {
            let id = id.clone();
            self.add(DatasetProblem::UnsafeId { id, line });
        }
        self.seen.insert(id.clone(), line);
        self.ids.push(id);
    }

    /// Keeps the first of each kind for certain, and others while there is room.
    fn add(&mut self, problem: DatasetProblem) {
        let kind = kind(&problem);
        self.kinds[kind] += 1;
        if self.kinds[kind] <= MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// The summary of what was read from `path`; an empty file is a problem as well.
    pub fn finish(mut self, path: &str) -> DatasetSummary {
        if self.ids.is_empty() && self.problems.is_empty() {
            self.add(DatasetProblem::Empty);
        }
        DatasetSummary {
            path: path.to_owned(),
            ids: self.ids,
            sha256: hex(&self.hash.finalize()),
            problems: first_of_each_kind_first(self.problems),
        }
    }
}

/// How many kinds of problems a line can have.
const KINDS: usize = 6;

fn kind(problem: &DatasetProblem) -> usize {
    match problem {
        DatasetProblem::Missing | DatasetProblem::Unreadable(_) | DatasetProblem::LfsPointer => 0,
        DatasetProblem::Empty => 1,
        DatasetProblem::NotJson { .. } => 2,
        DatasetProblem::NoId { .. } => 3,
        DatasetProblem::DuplicateId { .. } => 4,
        DatasetProblem::UnsafeId { .. } => 5,
    }
}

fn first_of_each_kind_first(problems: Vec<DatasetProblem>) -> Vec<DatasetProblem> {
    let mut seen = [false; KINDS];
    let (mut first, rest): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| !std::mem::replace(&mut seen[kind(problem)], true));
    first.extend(rest);
    first.truncate(MOST_PROBLEMS);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DatasetSummary {
        let mut reader = DatasetReader::new(&["id".to_owned()]);
        for line in text.split_inclusive('\n') {
            reader.line(line.as_bytes());
        }
        reader.finish("/d.jsonl")
    }

    #[test]
    fn a_good_dataset_has_ids_and_no_problem() {
        let found = read("{\"id\": \"a\", \"question\": \"?\"}\r\n\n{\"id\": 2}");
        assert_eq!(found.ids, ["a", "2"]);
        assert_eq!(found.problems, []);
        // sha256sum of the same bytes.
        assert_eq!(
            read("{\"id\": 1}\n").sha256,
            "82b0cf5da91b6a7e02f031e2da2fa5ed1261dce4c85ae20d63db9d1e84a4c384"
        );
    }

    #[test]
    fn a_pointer_is_one_problem_not_three() {
        let found = read("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n");
        assert_eq!(found.problems, [DatasetProblem::LfsPointer]);
        assert!(found.ids.is_empty());
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let found =
            read("{\"id\": \"a\"}\nnope\n{\"q\": 1}\n{\"id\": \"a\"}\n{\"id\": \"../x\"}\n");
        let lines: Vec<String> = found
            .problems
            .iter()
            .map(|problem| format!("{problem:?}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        NotJson { line: 2, why: "it begins with `nope`, not with `{`" }
        NoId { line: 3, keys: ["q"] }
        DuplicateId { id: "a", first: 1, second: 4 }
        UnsafeId { id: "../x", line: 5 }
        "#);
    }

    #[test]
    fn the_first_of_each_kind_survives_many_of_another() {
        let text = "nope\n".repeat(50) + "{\"q\": 1}\n";
        let found = read(&text);
        assert_eq!(found.problems.len(), 20);
        assert!(matches!(
            found.problems[1],
            DatasetProblem::NoId { line: 51, .. }
        ));
    }

    #[test]
    fn nothing_is_a_problem() {
        assert_eq!(read("").problems, [DatasetProblem::Empty]);
        assert_eq!(read("\n\n").problems, [DatasetProblem::Empty]);
    }
}
