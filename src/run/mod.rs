//! What happened: events, the state as their fold. Pure but for `store`.

mod event;
mod state;
pub mod store;

pub use event::{Event, GaveUp, Handle, Record, StopWhy, Verdict};
pub use state::{EvalState, Left, Owner, Phase, RunState, RungState, UnitPhase, UnitState};
