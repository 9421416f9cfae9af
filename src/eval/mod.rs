//! What is done, missing, torn or in error; markers and results by adapter. Pure over listings.

mod books;
mod call_log;
mod calls;
mod cause;
mod dataset;
mod expected;
mod fields;
mod identity;
mod ids;
mod markers;
mod outside;
mod results;
mod routes;

pub use books::{Account, Balance, Reports, accounts, reported_elsewhere};
pub use call_log::logged_call;
pub use calls::{Call, calls_of};
pub use cause::Cause;
pub use dataset::DatasetReader;
pub use expected::Expected;
pub use identity::{Change, Difference, Judgement, Stamp, refusal};
pub use ids::{is_safe_file_name, select};
pub use markers::{MarkerReader, Marks};
pub use outside::{Outside, outside_of};
pub use results::{
    Listing, Parsed, Pattern, Progress, ResultError, Whole, parse_result, parse_result_line,
};
pub use routes::{Allowed, RouteNews, Tally, Way, declared, resolvers};
