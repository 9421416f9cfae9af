//! The command line of the stand-in for a service.

use crate::base::Millis;

/// Stands in for a service or an external API: retrieval, judge, or any other that speaks HTTP
#[derive(Debug, clap::Parser)]
#[command(name = "toolorch sim service", no_binary_name = true)]
pub(super) struct Args {
    /// The address to listen on
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub(super) port: u16,
    /// What it stands for, in its lines and its books
    #[arg(long, value_name = "NAME", default_value = "service")]
    pub(super) name: String,
    /// The models that `/v1/models` lists; any other is answered all the same
    #[arg(long = "model", value_name = "ID", num_args = 1..)]
    pub(super) models: Vec<String>,
    /// How long an answer takes on average
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = Millis::parse)]
    pub(super) latency: Millis,
    /// How long the first answer after the start takes; each further one takes less
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = Millis::parse)]
    pub(super) cold: Millis,
    /// How many answers after the start are slow
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(super) cold_requests: u32,
    /// How many tokens a document has that a search finds
    #[arg(long, value_name = "COUNT", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) tokens: u32,
}
