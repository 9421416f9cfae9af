//! One process as a stand-in.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::serve::ListenerExt as _;

use super::super::listen;
use super::super::refusal::Refusal;
use super::args::Args;
use super::books::Books;
use super::http::{self, StandIn};
use super::pace::Pace;

const PROGRAM: &str = "toolorch sim service";
/// How often traffic is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Stands in until a signal ends it; `speed` is how many virtual seconds a second has.
pub(in super::super) async fn main(args: &[String], speed: f64) -> Result<ExitCode, Refusal> {
    let args: Args = listen::read(args)?;
    let refuse = |error: std::io::Error| Refusal {
        stderr: format!("{PROGRAM}: {error}"),
        code: 1,
    };
    let told = listen::told_to_end().map_err(refuse)?;
    let listener = listen::listen(PROGRAM, &args.host, args.port).await?;
    let address = listener.local_addr().map_err(refuse)?;
    let stand_in = Arc::new(StandIn {
        pace: Pace {
            latency: Duration::from_millis(args.latency.0),
            cold: Duration::from_millis(args.cold.0),
            cold_requests: args.cold_requests,
            speed,
        },
        name: args.name,
        models: args.models,
        tokens: usize::try_from(args.tokens).unwrap_or(usize::MAX),
        books: Books::default(),
        answers: AtomicU64::new(0),
        created: jiff::Timestamp::now().as_second(),
    });
    listen::say(&format!(
        "{PROGRAM}: stands in for {} at http://{address}",
        stand_in.name
    ));
    // Small answers must not wait for a full packet.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
    let serving = axum::serve(listener, http::router(Arc::clone(&stand_in)));
    tokio::select! {
        _ = serving.into_future() => {}
        () = tell(&stand_in) => {}
        () = told => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what came in, as long as something does.
async fn tell(stand_in: &StandIn) {
    let mut before = 0;
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        let total = stand_in.books.total();
        if total > before {
            listen::say(&format!(
                "{PROGRAM}: {}: {} requests in 10 s, {total} in all",
                stand_in.name,
                total - before
            ));
        }
        before = total;
    }
}
