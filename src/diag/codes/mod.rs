//! Every code: its title and its page for `toolorch explain`, one file per family.
//!
//! E01 structure · E02 names · E03 ports, GPUs, nodes · E04 models, parsers, context ·
//! E05 evaluation, dataset · E06 environment, paths ·
//! E07 a look at the machines. Warnings (`W`) and notes (`N`) share the
//! families. A test keeps table and use in step: each code has a row, each row is used.

mod environment;
mod evaluation;
mod models;
mod names;
mod nodes;
mod resources;
mod structure;
mod table;

pub use table::{CodeInfo, all, find, list, markdown};
