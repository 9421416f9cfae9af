//! What `toolorch init` writes.

/// A small commented cluster that passes `check` as it stands: `clusters/minimal.yaml`.
pub const STARTER: &str = include_str!("../../clusters/minimal.yaml");
