//! What happened: events, the state as their fold. Pure but for `store`.

mod alarms;
mod books;
mod changes;
mod eval_state;
mod event;
mod forecast;
#[cfg(test)]
mod forecast_tests;
mod forecast_words;
mod state;
pub mod store;
mod unit_state;

pub use alarms::AlarmState;
pub use books::{Books, BooksMark, Sum};
pub use changes::{Changes, OtherFormat, places, script_path};
pub use eval_state::{EvalState, Held, Retry, Routing, Slowed};
pub use event::{Event, GaveUp, Handle, OutsideSeen, Record, StopWhy, Verdict, Waits};
pub use forecast::{Act, Asked, Forecast, Outlook, ResultsSeen};
pub use state::{ConfigState, Left, Owner, Phase, RunState};
pub use unit_state::{InQueue, RungState, UnitPhase, UnitState};
