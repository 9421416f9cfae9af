//! Vocabulary: newtypes for every name, field paths, spans, time, digests, exit codes, repeatable chance. Pure.

mod base64;
pub mod bounds;
mod bytes;
mod chance;
mod diff;
mod digest;
mod exit;
mod ids;
mod keys;
mod number;
mod path;
mod place;
mod python_json;
mod secrets;
mod span;
mod text;
mod time;

pub use base64::{base64, padded_base64};
pub use bytes::bytes;
pub(crate) use chance::Chance;
pub use diff::unified_diff;
pub use digest::{hex, sha256};
pub use exit::ExitStatus;
pub use ids::{
    ClusterName, ConfigName, Epoch, EvalName, Generation, GpuIndex, InvalidName, LaunchId, Name,
    NodeName, Port, RunId, UnitId,
};
pub use keys::{keys_in, mask_keys, mask_passwords, passwords_in};
pub(crate) use number::{ceil, float, floor, nearest};
pub use path::{FieldPath, Segment};
pub use place::Place;
pub(crate) use place::bracketed;
pub use python_json::without_numbers_of_python;
pub use secrets::Secrets;
pub use span::Span;
pub use text::{clean, cut, is_hidden, last_line, plain_json};
pub use time::{Clock, InvalidDuration, Millis, Timestamp};
