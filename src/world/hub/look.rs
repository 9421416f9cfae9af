//! What a cache has already: files alone are asked, no hub.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::part::begun;
use crate::facts::{Listing, RepoFile};
use crate::plan::weights::{Cache, Choice, Index, Wanted, choose, is_commit, lacks};
use crate::run::store::read_regular_text;

/// What a cache has of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheLook {
    /// All that a server loads.
    Whole {
        /// The commit.
        commit: String,
        /// What it loads, in bytes; none where no list of the hub tells.
        bytes: Option<u64>,
    },
    /// Not all of it.
    Lacks {
        /// The commit, if the cache knows one.
        commit: Option<String>,
        /// Names of files, or what else is missing.
        missing: Vec<String>,
    },
}

/// Looks what a cache has of a repository.
pub fn look(wanted: &Wanted) -> CacheLook {
    let cache = wanted.cache();
    let Some(commit) = commit(&cache, &wanted.revision) else {
        let missing = vec![format!("`{}`", wanted.revision)];
        return CacheLook::Lacks {
            commit: None,
            missing,
        };
    };
    let snapshot = cache.snapshot(&commit);
    let index = |name: &str| Index::read(&read_regular_text(&snapshot.join(name)).ok()?);
    let mut bytes = None;
    let missing = match listing(&cache, &commit) {
        Some(listing) => {
            let chosen = choose(
                &listing,
                wanted.load,
                wanted.by_index,
                index(Index::NAME).as_ref(),
            );
            match chosen {
                Choice::Files(files) => {
                    bytes = Some(files.iter().map(|file| file.size).sum());
                    let lacking = files.iter().filter(|file| !is_there(&cache, &commit, file));
                    lacking.map(|file| file.path.clone()).collect()
                }
                Choice::NeedsIndex(file) => vec![file.path.clone()],
                Choice::NoWeights => vec!["weights".to_owned()],
            }
        }
        None => lacks(&names(&snapshot), index, wanted.load),
    };
    if missing.is_empty() {
        CacheLook::Whole { commit, bytes }
    } else {
        CacheLook::Lacks {
            commit: Some(commit),
            missing,
        }
    }
}

/// The commit that the cache takes a revision for.
fn commit(cache: &Cache, revision: &str) -> Option<String> {
    if is_commit(revision) {
        return Some(revision.to_owned());
    }
    let text = read_regular_text(&cache.reference(revision)).ok()?;
    let commit = text.trim();
    is_commit(commit).then(|| commit.to_owned())
}

/// What the hub said of a commit: to us, or to `huggingface_hub`.
fn listing(cache: &Cache, commit: &str) -> Option<Listing> {
    let own = read_regular_text(&cache.listing(commit)).ok();
    let own = own.and_then(|text| serde_json::from_str::<Listing>(&text).ok());
    own.filter(|listing| listing.v == Listing::FORMAT && listing.commit == commit)
        .or_else(|| Listing::of_tree(commit, &read_regular_text(&cache.tree(commit)).ok()?))
}

/// Whether a file stands in the snapshot, whole.
pub(super) fn is_there(cache: &Cache, commit: &str, file: &RepoFile) -> bool {
    is_whole(&cache.snapshot(commit).join(&file.path), file)
}

/// Whether its bytes are in the cache, under whatever name.
pub(super) fn has_bytes(cache: &Cache, commit: &str, file: &RepoFile) -> bool {
    is_there(cache, commit, file) || is_whole(&cache.blob(file), file)
}

fn is_whole(path: &Path, file: &RepoFile) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == file.size)
}

/// What is still to be downloaded of a file that is not there, in bytes.
pub(super) fn left(cache: &Cache, file: &RepoFile) -> u64 {
    let most = begun(cache, file).into_iter().map(|part| part.bytes).max();
    file.size.saturating_sub(most.unwrap_or_default())
}

/// The files at the top of a snapshot; a link that leads nowhere is none.
fn names(snapshot: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(snapshot).into_iter().flatten().flatten();
    let files =
        entries.filter(|entry| fs::metadata(entry.path()).is_ok_and(|found| found.is_file()));
    files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
