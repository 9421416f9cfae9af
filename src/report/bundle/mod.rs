//! What a colleague gets of a run, as texts: which versions made it, how each question came out, and nothing secret. Pure.

mod files;
mod ids;
mod readme;
mod versions;

pub use files::{Bundle, BundleFile, Masked};
pub use ids::ids_text;
pub use readme::{About, readme_text};
pub use versions::versions_json;
