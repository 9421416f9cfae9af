//! Live, plain, JSON and status views: folds over events. Pure but for `live` and `serve`.

mod json;
mod live;
mod machines;
mod notice;
mod pace;
mod plain;
mod rows;
pub mod serve;
mod sink;
mod status;
mod summary;

mod wall;
mod watcher;
mod words;

#[cfg(test)]
mod testing;

pub use json::{Json, line as json_line, visible};
pub use live::{Background, Live};
pub use machines::machines;
pub use notice::{Level, Notice, Notices};
pub use pace::Pace;
pub use plain::{Plain, Weight, line as plain_line, weight};
pub use rows::{Row, rows};
pub use sink::{Quiet, Tails, View};
pub use status::{AlarmStatus, EvalStatus, GroupStatus, Iso, Status, UnitStatus};
pub use summary::{Ending, summary};

pub use wall::{moment, time};
pub use watcher::{IdleStop, Seen, Watcher};
pub use words::{Mood, ended, gave_up, stop_why, verdict};
