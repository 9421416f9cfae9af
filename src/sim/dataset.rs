//! The questions of an evaluation with their answers: a JSONL file that is read in the background at the first request.
//!
//! Of 3,000 questions of several kB only numbers are kept, and the answers: some hundred kB.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::words::Words;

/// So many words tell most questions apart; the rest is then compared as a whole.
const HEAD: usize = 16;

/// A dataset that may not have been read yet.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    index: OnceCell<Index>,
}

/// A question of the dataset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// What stands for the question.
    pub(super) key: u64,
    /// Its reference answer.
    pub(super) answer: &'a str,
    /// All of them.
    index: &'a Index,
}

/// The questions by their first words.
#[derive(Debug, Default)]
struct Index {
    entries: Vec<Entry>,
    /// What stands for the first words of a question, and which it is; in order.
    heads: Vec<(u64, u32)>,
    /// How many words such heads have, in order.
    lengths: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    words: usize,
    whole: u64,
    answer: Box<str>,
}

#[derive(Deserialize)]
struct Line {
    question: Value,
    answer: Value,
}

impl Dataset {
    /// The dataset in this file, whose first line alone is looked at.
    ///
    /// # Errors
    /// Why it is none: it is not there, or its first line has no question and answer.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let lines = lines(path).map_err(|error| format!("`{name}`: {error}"))?;
        let mut full = lines.filter(|line| !line.as_ref().is_ok_and(Vec::is_empty));
        match full.next() {
            None => return Err(format!("`{name}` has no questions")),
            Some(Err(error)) => return Err(format!("`{name}`: {error}")),
            Some(Ok(line)) => serde_json::from_slice::<Line>(&line).map_err(|_| {
                format!("`{name}`: the first line is no JSON object with `question` and `answer`")
            })?,
        };
        Ok(Self {
            path: path.to_owned(),
            index: OnceCell::new(),
        })
    }

    /// Reads it, once, beside everything else; what was wrong with it is told to whoever came first.
    pub(super) async fn ready(&self) -> Option<String> {
        let mut wrong = None;
        let told = &mut wrong;
        let read = async move {
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || Index::read(&path)).await;
            let (index, lost) = match read {
                Ok(Ok((index, 0))) => return index,
                Ok(Ok((index, lost))) => {
                    (index, format!("{lost} lines without question and answer"))
                }
                Ok(Err(error)) => (Index::default(), error.to_string()),
                Err(error) => (Index::default(), error.to_string()),
            };
            *told = Some(format!("{}: {lost}", self.path.display()));
            index
        };
        self.index.get_or_init(|| read).await;
        wrong
    }

    /// The question that stands in a text, the longest if there are several.
    pub(super) fn find(&self, text: &str) -> Option<Known<'_>> {
        let index = self.index.get()?;
        let (entry, key) = index.find(&Words::of(text))?;
        Some(Known {
            key,
            answer: &entry.answer,
            index,
        })
    }
}

impl<'a> Known<'a> {
    /// The answer to another question, by a number.
    pub(super) fn another_answer(self, number: u64) -> Option<&'a str> {
        let entries = &self.index.entries;
        let place = number.checked_rem(u64::try_from(entries.len()).ok()?)?;
        Some(&entries.get(usize::try_from(place).ok()?)?.answer)
    }
}

/// The lines of a file, without their ends.
fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
    let lines = BufReader::with_capacity(1 << 16, File::open(path)?).split(b'\n');
    Ok(lines.map(|line| line.map(|line| line.trim_ascii().to_vec())))
}

impl Index {
    /// Reads a file; answers how many of its lines are none of a dataset.
    fn read(path: &Path) -> io::Result<(Self, usize)> {
        let mut index = Self::default();
        let mut lost = 0;
        for line in lines(path)? {
            let line = line?;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Line>(&line) {
                Ok(line) => index.add(&text(line.question), text(line.answer)),
                Err(_) => lost += 1,
            }
        }
        index.heads.sort_unstable();
        index.lengths.sort_unstable();
        index.lengths.dedup();
        Ok((index, lost))
    }

    fn add(&mut self, question: &str, answer: String) {
        let words = Words::of(question);
        let head = words.len().min(HEAD);
        let (Some(start), Ok(number)) = (words.stretch(0, head), u32::try_from(self.entries.len()))
        else {
            return;
        };
        // A question without a word stands everywhere.
        if head == 0 {
            return;
        }
        self.heads.push((start, number));
        if !self.lengths.contains(&head) {
            self.lengths.push(head);
        }
        self.entries.push(Entry {
            words: words.len(),
            whole: words.whole(),
            answer: answer.into_boxed_str(),
        });
    }

    /// The question that stands in a text, and what stands for it. One that was cut short or changed at its end is known
    /// by its first words, where they are no other's.
    fn find(&self, text: &Words) -> Option<(&Entry, u64)> {
        let mut best: Option<(bool, usize, &Entry)> = None;
        for at in 0..text.len() {
            for &head in &self.lengths {
                let Some(start) = text.stretch(at, head) else {
                    break;
                };
                let alike = self.alike(start);
                for &(_, number) in alike {
                    let Some(entry) = self.entries.get(usize::try_from(number).ok()?) else {
                        continue;
                    };
                    let full = text.stretch(at, entry.words) == Some(entry.whole);
                    let only = head == HEAD && alike.len() == 1;
                    let beats =
                        best.is_none_or(|(was, words, _)| (full, entry.words) >= (was, words));
                    if (full || only) && beats {
                        best = Some((full, entry.words, entry));
                    }
                }
            }
        }
        best.map(|(_, _, entry)| (entry, entry.whole))
    }

    /// The questions that begin with these words.
    fn alike(&self, start: u64) -> &[(u64, u32)] {
        let from = self.heads.partition_point(|(head, _)| *head < start);
        let rest = &self.heads[from..];
        &rest[..rest.partition_point(|(head, _)| *head == start)]
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
