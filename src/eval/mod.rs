//! What is done, missing, torn or in error; markers and results by adapter. Pure over listings.

mod answer;
mod books;
mod call_log;
mod calls;
mod cause;
mod client_log;
mod dataset;
mod expected;
mod fields;
mod files_trend;
mod identity;
mod ids;
mod lenient;
mod lines;
mod markers;
mod open_calls;
mod outside;
mod past_calls;
mod raw_calls;
mod results;
mod retry;
mod routes;
mod spoken;
mod timed;

pub use answer::{Answer, Written};
pub use books::{Account, Balance, Lost, Reports, accounts, reported_elsewhere};
pub use call_log::{logged_call, logged_time};
pub use calls::{Call, calls_of};
pub use cause::Cause;
pub use client_log::ClientLog;
pub use dataset::DatasetReader;
pub use expected::Expected;
pub use files_trend::{FilesTrend, Forecast};
pub use identity::{Change, Difference, Judgement, Stamp, refusal};
pub use ids::{is_safe_file_name, select};
pub use markers::{MarkerReader, Marks};
pub use open_calls::{LongCalls, OpenCalls};
pub use outside::{Outside, outside_of};
pub use past_calls::{PastCall, PastCalls, is_declared};
pub use results::{
    Listing, Parsed, Pattern, Progress, ResultError, Whole, parse_result, parse_result_line,
};
pub use routes::{Allowed, RouteNews, Tally, Way, declared, endpoints_so_far, resolvers};
pub use spoken::SpokenCalls;
pub use timed::{CallTime, Lack, Names, ORCHESTRATOR, TimedCall};
