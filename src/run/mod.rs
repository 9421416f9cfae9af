//! What happened: events, the state as their fold. Pure but for `store`.

mod event;
mod state;
pub mod store;

pub use event::{Event, GaveUp, Handle, Record, StopWhy, Verdict, Waits};
pub use state::{EvalState, Owner, Phase, Retry, RunState, RungState, UnitPhase, UnitState};
