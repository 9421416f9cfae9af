//! One process as the proxy.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::super::listen;
use super::super::refusal::Refusal;
use super::connection;
use super::ledger::Ledger;

const PROGRAM: &str = "toolorch sim proxy";
/// How long nobody is let in where there is no room for another connection.
const FULL: Duration = Duration::from_millis(50);

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
pub(in super::super) async fn main(args: &[String]) -> Result<ExitCode, Refusal> {
    let args: Args = listen::read(args)?;
    let refuse = |text: String| Refusal {
        stderr: format!("{PROGRAM}: {text}"),
        code: 1,
    };
    let told = listen::told_to_end().map_err(|error| refuse(error.to_string()))?;
    let ledger = Ledger::open(args.log.as_deref()).map_err(|error| {
        let path = args.log.as_deref().unwrap_or_else(|| "".as_ref());
        refuse(format!("cannot append to `{}`: {error}", path.display()))
    })?;
    let listener = listen::listen(PROGRAM, &args.host, args.port).await?;
    let address = listener
        .local_addr()
        .map_err(|error| refuse(error.to_string()))?;
    // Stdout is for what was refused.
    std::io::stderr()
        .write_all(format!("{PROGRAM}: lets nothing out, at http://{address}\n").as_bytes())
        .unwrap_or_default();
    tokio::select! {
        () = accept(listener, Arc::new(ledger)) => {}
        () = told => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn accept(listener: TcpListener, ledger: Arc<Ledger>) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let ledger = Arc::clone(&ledger);
                tokio::spawn(async move { connection::serve(client, peer.port(), &ledger).await });
            }
            // Out of descriptors, mostly: others will end.
            Err(_) => tokio::time::sleep(FULL).await,
        }
    }
}
