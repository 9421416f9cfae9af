//! Passing a request on to a server: as a tunnel, or as one request and its answer.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional, sink};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::connection::read_head;
use super::head::{Head, Length};
use super::policy::Policy;
use super::words::{self, Refusal};
use crate::base::Place;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A request that may go where it wants.
#[derive(Debug)]
pub(super) struct Request {
    /// Where it goes.
    pub(super) place: Place,
    /// How the request line reads there; without one it is a tunnel.
    pub(super) first_line: Option<String>,
    /// How long its body is.
    pub(super) length: Length,
}

/// Passes a request on until one of the two sides is done. A refusal where nothing was answered yet.
pub(super) async fn serve(
    client: &mut TcpStream,
    (head, rest): (&Head, &[u8]),
    request: Request,
    policy: &Policy,
) -> Option<Refusal> {
    let mut server = match connect(&request.place, policy).await {
        Ok(server) => server,
        Err(why) => return Some(Refusal::Unreachable(request.place, why)),
    };
    server.set_nodelay(true).unwrap_or_default();
    let Some(first_line) = &request.first_line else {
        // Either side may end it, and an error is such an end.
        drop(tunnel(client, &mut server, rest).await);
        return None;
    };
    let (from_client, to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let head = head.passed_on(first_line);
    if to_server.write_all(&head).await.is_err() {
        return Some(Refusal::NoAnswer(request.place));
    }
    tokio::select! {
        answered = answer(from_server, to_client) => match answered {
            Ok(()) => None,
            Err(Unanswered) => Some(Refusal::NoAnswer(request.place)),
        },
        // A client that leaves takes its request along, as it would without a proxy.
        () = body(from_client, to_server, rest, request.length) => None,
    }
}

async fn connect(place: &Place, policy: &Policy) -> Result<TcpStream, String> {
    let mut why = String::new();
    for address in policy.addresses(place).await? {
        let connecting = TcpStream::connect((address, place.port));
        match timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(server)) => return Ok(server),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => "no answer in 10 s".clone_into(&mut why),
        }
    }
    Err(why)
}

async fn tunnel(client: &mut TcpStream, server: &mut TcpStream, rest: &[u8]) -> io::Result<()> {
    client.write_all(words::TUNNEL).await?;
    server.write_all(rest).await?;
    copy_bidirectional(client, server).await?;
    Ok(())
}

/// Nothing that is an answer came.
struct Unanswered;

/// Passes the answer on. The client is told that the connection ends with it, so that its next request, which may be to
/// somebody else, comes as a new one.
async fn answer(mut server: ReadHalf<'_>, mut client: WriteHalf<'_>) -> Result<(), Unanswered> {
    let mut rest = Vec::new();
    loop {
        let head;
        (head, rest) = read_head(&mut server, rest).await.map_err(|_| Unanswered)?;
        let status = head.status().ok_or(Unanswered)?;
        // `100 Continue` and its like come before the answer.
        let interim = (100..200).contains(&status);
        let bytes = if interim {
            format!("{}\r\n\r\n", head.first).into_bytes()
        } else {
            head.passed_on(&head.first)
        };
        if client.write_all(&bytes).await.is_err() {
            return Ok(());
        }
        if !interim {
            break;
        }
    }
    let sending = async {
        client.write_all(&rest).await?;
        copy(&mut server, &mut client).await?;
        client.shutdown().await
    };
    // Either side may break it off, and the answer has begun.
    drop(sending.await);
    Ok(())
}

/// Sends the body, and returns when the client is gone.
async fn body(mut client: ReadHalf<'_>, mut server: WriteHalf<'_>, rest: &[u8], length: Length) {
    let (here, left) = match length {
        // Not a byte more: what follows is another request.
        Length::Known(length) => {
            let here = usize::try_from(length).map_or(rest.len(), |length| length.min(rest.len()));
            let sent = u64::try_from(here).unwrap_or(length);
            (here, length - sent)
        }
        Length::Chunked => (rest.len(), u64::MAX),
    };
    let sending = async {
        server.write_all(&rest[..here]).await?;
        copy(&mut (&mut client).take(left), &mut server).await
    };
    // A server may answer before it has read all, and close: its answer is still to come.
    drop(sending.await);
    drop(copy(&mut client, &mut sink()).await);
}
