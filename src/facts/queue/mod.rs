//! What one look at a run's SLURM jobs brought. Pure.
//!
//! Two witnesses speak of a unit: SLURM of its job, and the job's node, which shows its units every few seconds in a file. The
//! node is believed as long as it speaks; where it is silent SLURM says whether the job is over; where neither says
//! anything, nothing is known.

mod judge;
mod loads;
mod look;
mod seen;
#[cfg(test)]
mod tests;

pub use seen::read;
