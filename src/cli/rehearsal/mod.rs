//! What goes along with a rehearsal: the kill in the middle, looks at clients, and the verdict.

mod course;
mod ground;
mod looks;
mod stage;
mod trouble;
mod verdict;

pub(super) use ground::Ground;
pub(super) use stage::Stage;
pub(super) use trouble::planned;
pub(super) use verdict::{Played, verdict};
