//! Looks at the open files of clients, twice a second, in a thread of its own.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::base::EvalName;
use crate::facts::FilesSeen;
use crate::world::look_at_files;

/// Often enough for a table that fills up, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(500);

/// What was seen of the clients of one evaluation.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) files: Option<FilesSeen>,
}

enum Word {
    /// From now on this process is the evaluation's client.
    Follow(EvalName, u32),
    /// It has none any more.
    Leave(EvalName),
}

/// The thread; what it saw comes back at its end.
#[derive(Debug)]
pub(super) struct Looks {
    words: Sender<Word>,
    thread: JoinHandle<BTreeMap<EvalName, Seen>>,
}

impl Looks {
    pub(super) fn begin() -> Self {
        let (words, heard) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut roots: BTreeMap<EvalName, u32> = BTreeMap::new();
            let mut seen: BTreeMap<EvalName, Seen> = BTreeMap::new();
            loop {
                match heard.recv_timeout(EVERY) {
                    Ok(Word::Follow(eval, pid)) => {
                        roots.insert(eval, pid);
                    }
                    Ok(Word::Leave(eval)) => {
                        roots.remove(&eval);
                    }
                    Err(RecvTimeoutError::Timeout) => look(&roots, &mut seen),
                    Err(RecvTimeoutError::Disconnected) => return seen,
                }
            }
        });
        Self { words, thread }
    }

    pub(super) fn follow(&self, eval: &EvalName, pid: u32) {
        // A thread that is gone has nothing to say at the end either.
        let _ = self.words.send(Word::Follow(eval.clone(), pid));
    }

    pub(super) fn leave(&self, eval: &EvalName) {
        let _ = self.words.send(Word::Leave(eval.clone()));
    }

    pub(super) fn end(self) -> BTreeMap<EvalName, Seen> {
        drop(self.words);
        self.thread.join().unwrap_or_default()
    }
}

fn look(roots: &BTreeMap<EvalName, u32>, seen: &mut BTreeMap<EvalName, Seen>) {
    for (eval, pid) in roots {
        let Some(files) = look_at_files(*pid) else {
            continue;
        };
        let seen = seen.entry(eval.clone()).or_default();
        seen.files = Some(seen.files.map_or(files, |most| most.closer(files)));
    }
}
