//! What happened: events, the state as their fold. Pure but for `store`.

mod books;
mod changes;
mod event;
mod state;
pub mod store;

pub use books::{Books, BooksMark, Sum};
pub use changes::{Changes, OtherFormat, places, script_path};
pub use event::{Event, GaveUp, Handle, OutsideSeen, Record, StopWhy, Verdict, Waits};
pub use state::{
    ConfigState, EvalState, Held, Left, Owner, Phase, Retry, Routing, RunState, RungState,
    UnitPhase, UnitState,
};
