//! `toolorch egress-proxy`: what stands between the client of an evaluation and the world, with `egress: proxy`.

use tokio::net::TcpListener;

use crate::base::ExitStatus;
use crate::cli::args::EgressProxyArgs;
use crate::cli::printer::Printer;
use crate::cli::runtime;
use crate::world;
use crate::world::egress::{List, Policy, Proxy};

pub(in crate::cli) fn run(
    args: &EgressProxyArgs,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let refuse = |status: ExitStatus, why: &str| {
        printer.complain(&format!("error: {why}"));
        status
    };
    let mut list = List::default();
    for place in &args.allow {
        list.open(place)
            .map_err(|why| refuse(ExitStatus::Usage, &format!("--allow: {why}")))?;
    }
    let proxy = Proxy::new(Policy::List(list), args.log.as_deref())
        .map_err(|error| refuse(ExitStatus::Refused, &error.to_string()))?;
    let runtime = runtime::single().map_err(|_| ExitStatus::Internal)?;
    runtime.block_on(async {
        let mut signals = world::signals().map_err(|_| ExitStatus::Internal)?;
        let place = (args.host.as_str(), args.port);
        let listener = TcpListener::bind(place).await.map_err(|error| {
            let why = format!("cannot listen on `{}:{}`: {error}", args.host, args.port);
            refuse(ExitStatus::Refused, &why)
        })?;
        let end = async {
            signals.recv().await;
        };
        proxy.serve(listener, end).await;
        Ok(ExitStatus::Done)
    })
}
