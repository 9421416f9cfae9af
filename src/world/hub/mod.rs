//! A hub of models and the caches of what comes from it: looking, asking, downloading once per cache.

mod client;
mod download;
mod error;
mod fetch;
mod look;
mod part;
mod space;
mod turn;

pub use client::{Hub, endpoint, token_of};
pub use error::HubError;
pub use fetch::{FetchJob, FetchNews, ask, fetch};
pub use look::{CacheLook, look};
pub use space::{Disk, disk_of};
