//! How one evaluation goes in a rehearsal, and the kill of its client in the middle.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::Signal;

use crate::base::{Millis, Timestamp, sha256};
use crate::eval::{Parsed, parse_result};
use crate::plan::{EvalPlan, ResultsPlan};
use crate::report::rehearsal::Kill;

/// The client is killed when this share of the questions has a result: three of ten.
const KILL_AT: (usize, usize) = (3, 10);

/// A client that runs.
#[derive(Debug, Clone, Copy)]
struct Client {
    /// Its process and the process's start, once it was seen: a short one may never be.
    process: Option<(u32, u64)>,
    since: Timestamp,
}

/// One evaluation.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) plan: EvalPlan,
    pub(super) total: usize,
    pub(super) starts: usize,
    pub(super) first_result: Option<Millis>,
    pub(super) ran: Millis,
    /// To how many its limit of open files was raised while it ran.
    pub(super) files_raised: Option<u64>,
    pub(super) first_start: Option<Timestamp>,
    pub(super) last_end: Option<Timestamp>,
    client: Option<Client>,
    killed: Option<Killed>,
}

#[derive(Debug)]
struct Killed {
    at: Timestamp,
    finished: Vec<Stamp>,
    back_after: Option<Millis>,
}

/// A finished result: while it stays what it is nobody touched it.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Stamp {
    /// A file of its own.
    File {
        path: PathBuf,
        written: Option<SystemTime>,
        length: u64,
    },
    /// A line of a file for all, by its digest.
    Line(String),
}

impl Course {
    pub(super) fn new(plan: &EvalPlan) -> Self {
        Self {
            plan: plan.clone(),
            total: 0,
            starts: 0,
            first_result: None,
            ran: Millis(0),
            files_raised: None,
            first_start: None,
            last_end: None,
            client: None,
            killed: None,
        }
    }

    pub(super) fn launched(&mut self, at: Timestamp) {
        self.starts += 1;
        self.first_start.get_or_insert(at);
        self.client = Some(Client {
            process: None,
            since: at,
        });
        if let Some(killed) = &mut self.killed {
            let back = at.since(killed.at);
            killed.back_after.get_or_insert(back);
        }
    }

    pub(super) fn started(&mut self, pid: u32, start: u64) {
        if let Some(client) = &mut self.client {
            client.process = Some((pid, start));
        }
    }

    pub(super) fn ended(&mut self, at: Timestamp) {
        if let Some(client) = self.client.take() {
            self.ran = Millis(self.ran.0 + at.since(client.since).0);
            self.last_end = Some(at);
        }
    }

    /// There is still something to see: the first result, or the moment for the kill.
    pub(super) fn is_open(&self) -> bool {
        self.client.is_some() && (self.first_result.is_none() || self.killed.is_none())
    }

    /// Results that are there at `now`.
    pub(super) fn look(&mut self, now: Timestamp) -> usize {
        let written = written(&self.plan.results);
        if written > 0
            && let Some(first) = self.first_start
        {
            self.first_result.get_or_insert(now.since(first));
        }
        written
    }

    /// Kills the client once, in the middle.
    pub(super) fn kill_in_the_middle(&mut self, now: Timestamp, written: usize) {
        let client = self.client.filter(|_| self.killed.is_none());
        let Some((pid, start)) = client.and_then(|client| client.process) else {
            return;
        };
        let in_the_middle = written * KILL_AT.1 >= self.total * KILL_AT.0 && written < self.total;
        if self.total == 0 || written == 0 || !in_the_middle {
            return;
        }
        let finished = stamps(&self.plan.results);
        if crate::world::send_signal(pid, start, Signal::KILL) {
            self.killed = Some(Killed {
                at: now,
                finished,
                back_after: None,
            });
        }
    }

    /// What came of the kill.
    pub(super) fn kill(&self) -> Option<Kill> {
        let killed = self.killed.as_ref()?;
        let now: HashSet<Stamp> = stamps(&self.plan.results).into_iter().collect();
        let kept = killed
            .finished
            .iter()
            .filter(|before| now.contains(*before))
            .count();
        Some(Kill {
            finished: killed.finished.len(),
            touched: killed.finished.len() - kept,
            back_after: killed.back_after,
        })
    }
}

fn written(results: &ResultsPlan) -> usize {
    match results {
        ResultsPlan::Dir { dir, pattern, .. } => files(dir, pattern).count(),
        ResultsPlan::Jsonl { file } => {
            let text = fs::read(file).unwrap_or_default();
            text.split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .count()
        }
    }
}

/// Files that are named like results.
fn files(dir: &str, pattern: &str) -> impl Iterator<Item = PathBuf> {
    let (before, after) = pattern.split_once("{id}").unwrap_or(("", pattern));
    let (before, after) = (before.to_owned(), after.to_owned());
    let all = fs::read_dir(dir).into_iter().flatten().flatten();
    all.filter(move |entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(&before) && name.ends_with(&after)
    })
    .map(|entry| entry.path())
}

/// Results that are complete: one that is being written is not, and one in error may be asked again.
fn stamps(results: &ResultsPlan) -> Vec<Stamp> {
    let is_final =
        |bytes: &[u8]| matches!(parse_result(bytes, &[]), Parsed::Whole(whole) if !whole.failed);
    match results {
        ResultsPlan::Dir { dir, pattern, .. } => files(dir, pattern)
            .filter(|path| is_final(&fs::read(path).unwrap_or_default()))
            .filter_map(|path| stamp(&path))
            .collect(),
        ResultsPlan::Jsonl { file } => {
            let text = fs::read(file).unwrap_or_default();
            let lines = text
                .split(|byte| *byte == b'\n')
                .filter(|line| is_final(line));
            lines.map(|line| Stamp::Line(sha256(line))).collect()
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp::File {
        path: path.to_owned(),
        written: found.modified().ok(),
        length: found.len(),
    })
}
