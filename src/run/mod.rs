//! What happened: events, the state as their fold. Pure but for `store`.

mod changes;
mod event;
mod state;
pub mod store;

pub use changes::{Changes, OtherFormat, places, script_path};
pub use event::{Event, GaveUp, Handle, Record, StopWhy, Verdict};
pub use state::{
    ConfigState, EvalState, Left, Owner, Phase, RunState, RungState, UnitPhase, UnitState,
};
