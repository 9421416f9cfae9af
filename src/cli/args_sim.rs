//! The command line of `toolorch sim`; each doc comment is the help that people read.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::base::Millis;

#[derive(Debug, Subcommand)]
pub(super) enum SimCommand {
    /// Serve a model that is not there: `vllm serve MODEL …`.
    #[command(disable_help_flag = true)]
    Vllm {
        /// What follows is vLLM's command line.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Many silent servers in one process: `host COUNT vllm serve MODEL …`.
    #[command(disable_help_flag = true)]
    Host {
        /// What follows is the simulator's own command line.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Keep what `/metrics` of real servers says over time, for `fit`.
    Capture(CaptureArgs),
    /// Find the simulator's parameters in a capture, a client's call log or results.
    Fit(FitArgs),
}

#[derive(Debug, Args)]
pub(super) struct CaptureArgs {
    /// Servers by URL, such as `node1:8000`; or a cluster's YAML for those of its last run.
    #[arg(required = true, value_name = "CLUSTER.yaml|URL")]
    pub(super) servers: Vec<String>,
    /// The folder to write to: `UNIT/MILLISECONDS.prom`.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Time between two looks.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(super) every: Millis,
    /// Stop after this time; without it at Ctrl-C.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    pub(super) length: Option<Millis>,
}

fn duration(text: &str) -> Result<Millis, String> {
    match Millis::parse(text) {
        Ok(Millis(0)) => Err("must be more than 0".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(error.to_string()),
    }
}

/// How parameters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FitFormat {
    /// A `sim:` block for each model, ready to paste.
    Yaml,
    /// Versioned JSON.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// A capture's folder, a client's call log, or a folder of results.
    #[arg(value_name = "CAPTURE|RESULTS")]
    pub(super) path: PathBuf,
    /// Only this model, by the name that its server has for it.
    #[arg(long)]
    pub(super) model: Option<String>,
    /// How parameters are shown.
    #[arg(long, value_enum, default_value = "yaml")]
    pub(super) format: FitFormat,
    /// Requests under way at once, where results do not tell it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,
    /// Servers of the model, where results do not tell it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) replicas: Option<u32>,
    /// What to assume where nothing was seen: `--prior answer_tokens=600`; again for more.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) prior: Vec<String>,
    /// The capture is of simulators that ran at this `speed`.
    #[arg(long, value_name = "SPEED", default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|speed: &f64| *speed > 0.0 && speed.is_finite())
        .ok_or_else(|| "must be a number above 0".to_owned())
}
