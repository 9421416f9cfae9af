//! A repository into a cache: asked for, waited for where another downloads it, downloaded, linked.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::HubError;
use super::client::Hub;
use super::download::{Source, download};
use super::look::{has_bytes, is_there, left};
use super::turn::{Holder, Patience, Turn};
use crate::base::Timestamp;
use crate::facts::{Listing, RepoFile};
use crate::plan::weights::{Cache, Choice, Index, Wanted, choose, is_commit};
use crate::run::store::{Mode, ProcessId, write_atomically};

/// So many files at once.
const AT_ONCE: usize = 4;
/// How often whoever waits looks whose turn it is.
const LOOK: Duration = Duration::from_millis(250);

/// What is to be downloaded of a repository.
#[derive(Debug, Clone)]
pub struct FetchJob {
    /// For whom.
    pub wanted: Wanted,
    /// What the hub says of it.
    pub listing: Listing,
    /// What a server loads.
    pub files: Vec<RepoFile>,
}

impl FetchJob {
    /// What is still to be downloaded, in bytes.
    pub fn left(&self) -> u64 {
        let cache = self.wanted.cache();
        self.lacking(&cache).map(|file| left(&cache, file)).sum()
    }

    /// Files whose bytes are not there; of those with the same bytes one.
    fn lacking<'a>(&'a self, cache: &'a Cache) -> impl Iterator<Item = &'a RepoFile> {
        let lacks = move |file: &&RepoFile| !has_bytes(cache, &self.listing.commit, file);
        let lacking = self.files.iter().filter(lacks);
        let mut seen = HashSet::new();
        lacking.filter(move |file| seen.insert(&file.blob))
    }
}

/// What happens during a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchNews {
    /// Another process downloads it; none where it has only begun.
    Waits(Option<(ProcessId, Timestamp)>),
    /// It begins, or goes on with what came before.
    Begins {
        /// Files.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
}

/// Asks the hub for what a server loads of a repository.
///
/// # Errors
/// It refuses, is silent, or has nothing that a server can load.
pub async fn ask(hub: &Hub, wanted: &Wanted) -> Result<FetchJob, HubError> {
    let repo = &wanted.repo;
    let listing = hub.listing(repo, &wanted.revision).await?;
    if listing.gated {
        hub.may_read(repo).await?;
    }
    let (load, by_index) = (wanted.load, wanted.by_index);
    let strange = |why: String| HubError::Strange {
        endpoint: hub.shown().to_owned(),
        why,
    };
    let mut choice = choose(&listing, load, by_index, None);
    let index;
    if let Choice::NeedsIndex(file) = choice {
        let text = hub.read(repo, &listing.commit, file).await?;
        index = Index::read(&text)
            .ok_or_else(|| strange(format!("`{}` of `{repo}` is no index", file.path)))?;
        choice = choose(&listing, load, by_index, Some(&index));
    }
    let files = match choice {
        Choice::Files(files) => files.into_iter().cloned().collect(),
        Choice::NeedsIndex(_) | Choice::NoWeights => {
            return Err(strange(format!(
                "`{repo}` has no weights that its server loads (*.safetensors, *.bin, *.pt)"
            )));
        }
    };
    Ok(FetchJob {
        wanted: wanted.clone(),
        listing,
        files,
    })
}

/// Downloads what the cache lacks, once for all who share it. `got` counts bytes of the files that [`FetchNews::Begins`] names.
///
/// # Errors
/// The hub refuses or is silent for good, or a file cannot be written. What came is kept.
pub async fn fetch(
    hub: &Hub,
    job: &FetchJob,
    news: &UnboundedSender<FetchNews>,
    got: &Arc<AtomicU64>,
) -> Result<(), HubError> {
    let cache = job.wanted.cache();
    let snapshot = cache.snapshot(&job.listing.commit);
    for folder in [cache.root().join("blobs"), cache.books(), snapshot] {
        fs::create_dir_all(&folder).map_err(HubError::io("create", &folder))?;
    }
    loop {
        let mut turn = await_turn(&cache, news).await?;
        match in_turn(hub, job, &mut turn, news, got).await {
            // Whoever has it now is waited for.
            Err(_) if matches!(turn.is_ours(), Err(HubError::Superseded)) => {}
            done => return done,
        }
    }
}

/// Downloads what the cache lacks, as the only one who does.
async fn in_turn(
    hub: &Hub,
    job: &FetchJob,
    turn: &mut Turn,
    news: &UnboundedSender<FetchNews>,
    got: &Arc<AtomicU64>,
) -> Result<(), HubError> {
    let cache = job.wanted.cache();
    let lacking: VecDeque<RepoFile> = job.lacking(&cache).cloned().collect();
    let listing = cache.listing(&job.listing.commit);
    let text = serde_json::to_string(&job.listing)
        .map_err(|error| HubError::io("write", &listing)(error.into()))?;
    write_atomically(&listing, text.as_bytes(), Mode::Shared)?;
    got.store(0, Ordering::Relaxed);
    // Nobody may listen any more.
    let _ = news.send(FetchNews::Begins {
        files: lacking.len(),
        bytes: lacking.iter().map(|file| file.size).sum(),
    });
    let from = Source {
        hub: hub.clone(),
        repo: job.wanted.repo.clone(),
        commit: job.listing.commit.clone(),
        cache: cache.clone(),
        turn: turn.number(),
    };
    tokio::select! {
        done = all(&from, lacking, got) => done?,
        lost = turn.keep() => return Err(lost),
    }
    link(job, &cache)
}

/// Waits until it is our turn, and says for whom.
async fn await_turn(cache: &Cache, news: &UnboundedSender<FetchNews>) -> Result<Turn, HubError> {
    let mut patience = Patience::default();
    let mut said = None;
    loop {
        let holder = match Turn::take(&cache.books(), &mut patience)? {
            Ok(turn) => return Ok(turn),
            Err(holder) => holder,
        };
        let who = holder.map(|Holder { process, since, .. }| (process, since));
        if who.is_some() && said != who {
            let _ = news.send(FetchNews::Waits(who.clone()));
            said = who;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Downloads files, some at once; the first error ends all.
async fn all(
    from: &Source,
    mut files: VecDeque<RepoFile>,
    got: &Arc<AtomicU64>,
) -> Result<(), HubError> {
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(file) = files.pop_front()
        {
            let (from, got) = (from.clone(), Arc::clone(got));
            under_way.spawn(async move { download(&from, &file, &got).await });
        }
        match under_way.join_next().await {
            None => return Ok(()),
            Some(Ok(done)) => done?,
            Some(Err(error)) => {
                let path = Path::new(&from.commit);
                return Err(HubError::io("download", path)(std::io::Error::other(error)));
            }
        }
    }
}

/// Gives the files their names, and the branch its commit: last, so that it never names a snapshot that lacks some.
fn link(job: &FetchJob, cache: &Cache) -> Result<(), HubError> {
    let commit = &job.listing.commit;
    let snapshot = cache.snapshot(commit);
    for file in &job.files {
        if is_there(cache, commit, file) {
            continue;
        }
        let name = snapshot.join(&file.path);
        if let Some(folder) = name.parent() {
            fs::create_dir_all(folder).map_err(HubError::io("create", folder))?;
        }
        match fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(HubError::io("replace", &name)(error));
            }
            _ => {}
        }
        std::os::unix::fs::symlink(cache.link(file), &name).map_err(HubError::io("link", &name))?;
    }
    let revision = &job.wanted.revision;
    if is_commit(revision) {
        return Ok(());
    }
    let reference = cache.reference(revision);
    if let Some(folder) = reference.parent() {
        fs::create_dir_all(folder).map_err(HubError::io("create", folder))?;
    }
    // Without a line's end: `huggingface_hub` takes the text as it is.
    write_atomically(&reference, commit.as_bytes(), Mode::Shared)?;
    Ok(())
}
