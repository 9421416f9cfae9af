//! What is done, missing, torn or in error; markers and results by adapter. Pure over listings.

mod cause;
mod dataset;
mod expected;
mod fields;
mod ids;
mod results;

pub use cause::Cause;
pub use dataset::DatasetReader;
pub use expected::Expected;
pub use ids::{is_safe_file_name, select};
pub use results::{Listing, Parsed, Pattern, Progress, ResultError, Whole, parse_result};
