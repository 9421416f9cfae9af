//! Arguments of `toolorch what-if`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::report::verdict::Move;

/// How a prediction is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WhatIfFormat {
    /// Sentences.
    Text,
    /// JSON, by evaluation.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct WhatIfArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// How many GPUs go, from where and to where: `2 coder:orchestrator`; those that no model has are `unused`. Of several all
    /// are made.
    #[arg(long = "move", value_name = "N FROM:TO", required = true)]
    pub(super) moves: Vec<Move>,
    /// Of this evaluation alone.
    #[arg(long, value_name = "NAME")]
    pub(super) eval: Option<String>,
    /// How it is shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: WhatIfFormat,
}
