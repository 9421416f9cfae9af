//! What a stand-in was asked: what would have gone to the service itself.

use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::base::{clean, cut, mask_keys};

/// Paths that are counted one by one; whoever makes up more of them has the rest counted together.
const MOST_PATHS: usize = 1000;
/// Characters of a path that are kept.
const LONGEST_PATH: usize = 200;

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Books {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default, Clone)]
struct Counts {
    requests: IndexMap<String, u64>,
    total: u64,
    tokens_in: u64,
    tokens_out: u64,
}

impl Books {
    /// Counts a request, by its method and path.
    pub(super) fn request(&self, method: &str, path: &str) {
        // A key is masked before it could be cut to what no longer looks like one.
        let path = mask_keys(path);
        let key = format!("{method} {}", cut(&clean(&path), LONGEST_PATH));
        self.change(|counts| {
            counts.total += 1;
            let full = counts.requests.len() >= MOST_PATHS && !counts.requests.contains_key(&key);
            let key = if full { "others".to_owned() } else { key };
            *counts.requests.entry(key).or_default() += 1;
        });
    }

    /// Counts the tokens that a model would have read and written.
    pub(super) fn tokens(&self, read: usize, written: usize) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.change(|counts| {
            counts.tokens_in += number(read);
            counts.tokens_out += number(written);
        });
    }

    /// How many requests there were.
    pub(super) fn total(&self) -> u64 {
        self.change(|counts| counts.total)
    }

    /// All of it; the most frequent requests first.
    pub(super) fn show(&self, name: &str) -> Value {
        let mut counts = self.change(|counts| counts.clone());
        counts
            .requests
            .sort_by(|path, count, other, others| others.cmp(count).then_with(|| path.cmp(other)));
        json!({
            "stand_in": "toolorch", "name": name, "total": counts.total, "requests": counts.requests,
            "tokens_in": counts.tokens_in, "tokens_out": counts.tokens_out,
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        // Numbers are whole whatever became of their last owner.
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_path_and_keys_are_masked() {
        let books = Books::default();
        books.request("GET", "/health");
        for _ in 0..3 {
            books.request("POST", "/v1/chat/completions");
            books.tokens(100, 7);
        }
        books.request("POST", "/bot/sk-AbCd0123456789efghIJKL");
        insta::assert_snapshot!(books.show("judge"), @r#"{"stand_in":"toolorch","name":"judge","total":5,"requests":{"POST /v1/chat/completions":3,"GET /health":1,"POST /bot/*************************":1},"tokens_in":300,"tokens_out":21}"#);
    }

    #[test]
    fn made_up_paths_do_not_fill_the_memory() {
        let books = Books::default();
        for n in 0..MOST_PATHS + 50 {
            books.request("GET", &format!("/{n}{}", "x".repeat(500)));
        }
        let shown = books.show("x");
        assert_eq!(shown["requests"]["others"], 50);
        assert_eq!(shown["requests"].as_object().unwrap().len(), MOST_PATHS + 1);
        assert!(shown.to_string().len() < 300 * MOST_PATHS);
    }
}
