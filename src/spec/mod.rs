//! YAML text to a spanned tree to a [`ClusterSpec`], with every structural error in one pass. Pure.

pub mod model;

pub use model::ClusterSpec;
