//! One file from a hub into a cache: resumed where it broke off, checked before it is believed.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use reqwest::StatusCode;

use super::HubError;
use super::client::{Failure, Hub, rest, root};
use super::part::Part;
use super::turn::TurnNumber;
use crate::facts::RepoFile;
use crate::plan::weights::{Cache, RepoId};

/// A connection may break off so often in a row without a single byte.
const TRIES: u32 = 6;

/// What is downloaded, from where and whereto.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) hub: Hub,
    pub(super) repo: RepoId,
    pub(super) commit: String,
    pub(super) cache: Cache,
    pub(super) turn: TurnNumber,
}

/// Downloads a file; `got` counts its bytes.
pub(super) async fn download(
    from: &Source,
    file: &RepoFile,
    got: &AtomicU64,
) -> Result<(), HubError> {
    let mut part = Part::open(&from.cache, file, from.turn)?;
    got.fetch_add(part.len(), Ordering::Relaxed);
    let mut damaged = false;
    loop {
        complete(from, file, &mut part, got).await?;
        let came = part.len();
        match part.finish(&from.cache, file) {
            // What an earlier download left may be spoilt: once more from the first byte.
            Err(HubError::Damaged { .. }) if !damaged => {
                damaged = true;
                got.fetch_sub(came, Ordering::Relaxed);
            }
            done => return done,
        }
    }
}

/// Reads until all is there, over as many connections as it takes.
async fn complete(
    from: &Source,
    file: &RepoFile,
    part: &mut Part,
    got: &AtomicU64,
) -> Result<(), HubError> {
    let mut tried = 0;
    while part.len() < file.size {
        let before = part.len();
        let (why, pause) = match pour(from, file, part, got).await {
            Ok(()) if part.len() >= file.size => return Ok(()),
            Ok(()) => ("it broke the connection off".to_owned(), None),
            Err(Failure::Passing { why, pause }) => (why, pause),
            Err(Failure::Final(error)) => return Err(error),
        };
        tried = if part.len() > before { 1 } else { tried + 1 };
        if tried >= TRIES {
            return Err(from.hub.silent(format!("`{}`: {why}", file.path)));
        }
        rest(tried, pause).await;
    }
    Ok(())
}

/// Reads what one connection brings.
async fn pour(
    from: &Source,
    file: &RepoFile,
    part: &mut Part,
    got: &AtomicU64,
) -> Result<(), Failure> {
    let response = from
        .hub
        .open(&from.repo, &from.commit, file, part.len())
        .await?;
    let anew = response.status() != StatusCode::PARTIAL_CONTENT;
    if anew && part.len() > 0 {
        got.fetch_sub(part.len(), Ordering::Relaxed);
        part.empty().map_err(Failure::Final)?;
    }
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(());
    }
    let mut body = response.bytes_stream();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| Failure::passing(root(error)))?;
        part.add(&bytes).map_err(Failure::Final)?;
        got.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if part.len() > file.size {
            return Ok(());
        }
    }
    Ok(())
}
