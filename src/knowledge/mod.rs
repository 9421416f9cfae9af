//! Facts about the outside world, as data compiled into tables. Pure.
//!
//! `data/vllm.yaml` is the source (each entry says where it was seen), `tables/` is generated from it by
//! `UPDATE=1 cargo test --test it knowledge`, and the same test fails when the two differ. Nothing is parsed
//! when the program starts: the tables are constants in the binary.

pub mod adapters;
pub mod clients;
pub mod credentials;
pub mod failures;
pub mod families;
pub mod flags;
pub mod gpus;
pub mod kept;
pub mod memory;
pub mod metrics;
pub mod parsers;
pub mod pattern;
pub mod recipes;
pub mod release;
pub mod seats;
pub mod series;
pub mod shapes;
pub mod slurm;
pub mod speed;
pub mod ssh;
mod tables;
