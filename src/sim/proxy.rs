//! The HTTP proxy of a rehearsal: what stays on this machine is forwarded, what would leave it is refused and reported.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::listen;
use super::refusal::Refusal;
use crate::world::egress::{Policy, Proxy};

const PROGRAM: &str = "toolorch sim proxy";

/// An HTTP proxy that lets nothing leave this machine, and reports what would have left it
#[derive(Debug, clap::Parser)]
#[command(name = "toolorch sim proxy", no_binary_name = true)]
struct Args {
    /// The address to listen on
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: u16,
    /// The file to which a line is appended for each request that was refused
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Serves until a signal ends it.
pub(super) async fn main(args: &[String]) -> Result<ExitCode, Refusal> {
    let args: Args = listen::read(args)?;
    let refuse = |text: String| Refusal {
        stderr: format!("{PROGRAM}: {text}"),
        code: 1,
    };
    let told = listen::told_to_end().map_err(|error| refuse(error.to_string()))?;
    let proxy = Proxy::new(Policy::Inside, args.log.as_deref());
    let proxy = proxy.map_err(|error| refuse(error.to_string()))?;
    let listener = listen::listen(PROGRAM, &args.host, args.port).await?;
    let address = listener
        .local_addr()
        .map_err(|error| refuse(error.to_string()))?;
    // Stdout is for what was refused.
    std::io::stderr()
        .write_all(format!("{PROGRAM}: lets nothing out, at http://{address}\n").as_bytes())
        .unwrap_or_default();
    proxy.serve(listener, told).await;
    Ok(ExitCode::SUCCESS)
}
