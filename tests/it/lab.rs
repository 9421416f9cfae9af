//! A cluster of namespaces with real sshd, slurmctld, slurmd and munged, and proof that it is one.
//!
//! [`Lab`] is `tests/lab/lab.sh` as a value. Whatever needs ssh or SLURM is tested in one of its own; at most two are up at
//! a time (`.config/nextest.toml`).
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod at_start;
mod clients_on_nodes;
mod cluster;
mod containers;
mod cuts;
mod ends;
mod in_slurm;
mod kills;
mod life;
mod log_cluster;
mod looked_at;
mod nodes;
mod over_ssh;
mod people;
mod refused;
mod shape;
mod site;
mod slurm;
mod suspended;
mod traces;
mod tunnels;

pub(crate) use cluster::{Lab, Link, Service, Sshd};
pub(crate) use shape::Shape;
