//! toolorch: from one cluster YAML to a finished, trustworthy evaluation.
//!
//! The floors, in order; each uses only those above it in this list
//! (`tests/layering.rs` keeps it).  `docs/ARCHITECTURE.md` is the map.

pub mod base;
pub mod check;
pub mod cli;
pub mod diag;
pub mod eval;
pub mod facts;
pub mod knowledge;
pub mod plan;
pub mod render;
pub mod report;
pub mod run;
pub mod sim;
pub mod spec;
pub mod supervise;
pub mod view;
pub mod world;
