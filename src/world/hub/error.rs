//! What can go wrong between a hub and a cache.

use std::io;
use std::path::Path;

use crate::facts::HubRefusal;
use crate::run::store::StoreError;

/// What went wrong between a hub and a cache.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub says no.
    #[error("the hub refuses: {0:?}")]
    Refused(HubRefusal),
    /// It cannot be reached, or broke off again and again.
    #[error("no answer from {endpoint}: {why}")]
    Silent {
        /// Its address.
        endpoint: String,
        /// The last reason.
        why: String,
    },
    /// It answers something else than a hub does.
    #[error("{endpoint} answers what is not understood: {why}")]
    Strange {
        /// Its address.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// What came is not what it said that would come.
    #[error("`{file}` came otherwise than the hub says: {why}")]
    Damaged {
        /// The file in the repository.
        file: String,
        /// What differs.
        why: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever took us for dead downloads now.
    #[error("another toolorch downloads it now, because this one was not heard of for a minute")]
    Superseded,
}

impl HubError {
    /// For `map_err`: what was tried, where.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let failed = StoreError::io(doing, path);
        move |error| Self::Store(failed(error))
    }
}
