//! YAML text to a spanned tree to a [`ClusterSpec`], with every structural error in one pass. Pure.

mod build;
mod companions;
mod document;
mod edit;
mod later;
mod lower;
pub mod model;
mod origin;
mod overrides;
mod parse;
pub mod resolve;
mod scalar;
mod schema;
mod shape;
pub(crate) mod similar;
mod source;
mod starter;
mod syntax;
mod tree;

pub use document::Document;
pub use edit::{Edit, edited};
pub use later::{LaterKey, REHEARSE, later_keys, later_note, later_refusal};
pub use model::ClusterSpec;
pub use origin::{Origin, Sourced};
pub use overrides::Override;
pub use parse::{Parsed, parse};
pub use schema::schema;
pub use shape::manual;
pub use source::{MAX_BYTES, Source};
pub use starter::STARTER;
pub use tree::{Entry, Kind, Node, Scalar, Tree};
