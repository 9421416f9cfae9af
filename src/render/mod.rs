//! Plan to file set through Tera, with shell quoting on by default. Pure.
//!
//! [`Renderer`] holds the templates (the built-in ones, overridden by name), [`context`] the values they see,
//! [`FileSet`] what comes out. Reading a user's template directory and writing the files is the world's job.

mod client_config;
pub mod context;
mod engine;
mod error;
mod files;
mod fill;
mod plan;
mod quote;

pub use client_config::{ClientConfigError, WRITTEN_BY, client_config, count_endpoints};
pub use engine::{
    BUILT_IN, LIBRARY, NODE, NODE_TEXT, Renderer, SAMPLE, SAMPLE_TEXT, SLURM, SLURM_TEXT,
    state_format,
};
pub use error::RenderError;
pub use files::{File, FileSet, MANIFEST};
pub use fill::{FillAnswer, FillRequest, Filled};
pub use plan::{job_file, render_plan, slurm_jobs, tmux_sessions};
pub use quote::{QuoteError, directive, quote};
