//! Weights before servers: which repositories the plan's models need, which of their files, and where a cache has them.

mod cache;
mod choice;
mod repo;
mod wanted;
mod words;

pub use cache::Cache;
pub use choice::{Choice, Index, Load, choose, lacks};
pub use repo::{RepoId, is_commit, is_revision};
pub use wanted::{Elsewhere, LocalModel, Wanted, Weights, wanted};
pub use words::{TokenFrom, refused};
