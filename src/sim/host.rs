//! Binding addresses, and many simulated servers in one process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::config::SimConfig;
use super::endpoint::{Endpoint, Home, Peer};
use super::faults::Kind;
use super::freezing::freezing;
use super::http;

/// How long a server without its engine still answers, with errors (measured: 0.3 to 2 s).
pub(super) const SAYS_503: Duration = Duration::from_millis(500);

/// Simulated servers of this process; they end when this is dropped.
#[derive(Debug)]
pub struct Hosted {
    /// Where each listens, in the order of the settings.
    pub addresses: Vec<SocketAddr>,
    tasks: JoinSet<()>,
}

impl Hosted {
    /// Serves until the process ends.
    pub async fn forever(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Hosts one server per entry; all of them listen when this returns. A bench hosts 1,000.
///
/// # Errors
/// When an address can't be resolved, bound or listened on.
pub async fn host(configs: Vec<SimConfig>) -> io::Result<Hosted> {
    let router = http::router();
    let mut hosted = Hosted {
        addresses: Vec::with_capacity(configs.len()),
        tasks: JoinSet::new(),
    };
    for config in configs {
        let listener = bind(&config).await?.listen(1024)?;
        hosted.addresses.push(listener.local_addr()?);
        let listener = EndpointListener {
            listener,
            endpoint: Arc::new(Endpoint::new(config, Home::Shared)),
        };
        hosted.tasks.spawn(guest(listener, router.clone()));
    }
    Ok(hosted)
}

/// Serves until its fault is to end: then its address is gone, as if its process were.
async fn guest(listener: EndpointListener, router: axum::Router) {
    let endpoint = Arc::clone(&listener.endpoint);
    let mut serving = std::pin::pin!(serve(listener, router));
    tokio::select! {
        () = &mut serving => {}
        () = freezing(&endpoint, None) => {}
        _ = endpoint.until_it_suffers(Kind::Crash) => {}
        _ = endpoint.until_it_suffers(Kind::Engine) => {
            endpoint.declare_dead();
            tokio::select! {
                () = &mut serving => {}
                () = tokio::time::sleep(SAYS_503) => {}
            }
        }
    }
    // Connections outlive their listener; whoever kept one hears that nothing is behind it.
    endpoint.declare_dead();
}

/// Serves one listener until its task is aborted.
pub(super) async fn serve(listener: EndpointListener, router: axum::Router) {
    let service = router.into_make_service_with_connect_info::<Peer>();
    // `axum::serve` without a shutdown signal never returns.
    axum::serve(listener, service).await.unwrap_or_default();
}

/// Binds without listening, as vLLM does before it loads a model.
///
/// Like vLLM it sets `SO_REUSEPORT`: a second server of the same user takes the same port and shares its connections
/// in silence; only a listener without that option (most programs) or of another user makes it fail.
pub(super) async fn bind(config: &SimConfig) -> io::Result<TcpSocket> {
    let address = resolve(&config.host, config.port).await?;
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The address of a host, or of all where none is named; an IPv4 one, as with vLLM, unless the host is an IPv6 address.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let address = resolved.iter().find(|address| address.is_ipv4());
    let address = address.or(resolved.first()).copied();
    address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "Name or service not known"))
}

/// A listener that tells each connection which server it reached.
pub(super) struct EndpointListener {
    /// Where connections come from.
    pub(super) listener: TcpListener,
    /// Whose they are.
    pub(super) endpoint: Arc<Endpoint>,
}

impl Listener for EndpointListener {
    type Io = TcpStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (TcpStream, Peer) {
        let (stream, remote) = Listener::accept(&mut self.listener).await;
        // Small answers must not wait for a full packet.
        stream.set_nodelay(true).unwrap_or_default();
        (
            stream,
            Peer {
                endpoint: Arc::clone(&self.endpoint),
                remote: Some(remote),
            },
        )
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            endpoint: Arc::clone(&self.endpoint),
            remote: None,
        })
    }
}

impl Connected<IncomingStream<'_, EndpointListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, EndpointListener>) -> Self {
        stream.remote_addr().clone()
    }
}
