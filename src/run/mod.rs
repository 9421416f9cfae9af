//! What happened: events, the state as their fold. Pure but for `store`.

mod books;
mod event;
mod state;
pub mod store;

pub use books::{Books, BooksMark, Sum};
pub use event::{Event, GaveUp, Handle, OutsideSeen, Record, StopWhy, Verdict};
pub use state::{EvalState, Owner, Phase, Routing, RunState, RungState, UnitPhase, UnitState};
