//! One client of the proxy: what it wants, and what becomes of it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::forward::{self, Request};
use super::head::{self, Head};
use super::ledger::Ledger;
use super::policy::Policy;
use super::target::Wish;
use super::words::{self, Refusal};

/// How long a request may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client that is refused may go on sending, and how much is read of that.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 16 << 20;

/// Serves one request of one client.
pub(super) async fn serve(
    mut client: TcpStream,
    from_port: u16,
    (policy, ledger): (&Policy, &Ledger),
) {
    client.set_nodelay(true).unwrap_or_default();
    let refusal = match timeout(HEAD_WITHIN, read_head(&mut client, Vec::new())).await {
        Err(_) => Some(Refusal::TooSlow),
        Ok(Err(refusal)) => refusal,
        Ok(Ok((head, rest))) => match judge(&head, from_port, (policy, ledger)) {
            Ok(Some(request)) => forward::serve(&mut client, (&head, &rest), request, policy).await,
            Ok(None) => return finish(client, &words::own(policy)).await,
            Err(refusal) => Some(refusal),
        },
    };
    if let Some(refusal) = refusal {
        finish(client, &refusal.answer(policy)).await;
    }
}

/// Where a request may go; none where it is to the proxy itself.
fn judge(
    head: &Head,
    from_port: u16,
    (policy, ledger): (&Policy, &Ledger),
) -> Result<Option<Request>, Refusal> {
    let (method, target) = head.request().ok_or(Refusal::Senseless)?;
    let (place, path) = match Wish::read(method, target).ok_or(Refusal::Senseless)? {
        Wish::Own(path) => {
            let asks =
                ["GET", "HEAD"].contains(&method) && ["/", "/health"].contains(&path.as_str());
            return if asks {
                Ok(None)
            } else {
                Err(Refusal::Senseless)
            };
        }
        Wish::Tunnel(place) => (place, None),
        Wish::Pass {
            place,
            path,
            origin_form,
            plain,
        } => (place, Some((path, origin_form, plain))),
    };
    if !policy.lets(&place) {
        // Written down before it is answered: who was refused can look it up.
        let path = path.as_ref().map(|(path, ..)| path.as_str());
        ledger.refused(method, &place, path, from_port);
        return Err(Refusal::Outside(place));
    }
    let first_line = match path {
        None => None,
        Some((_, _, false)) => return Err(Refusal::NotPlain(place)),
        Some((_, origin_form, true)) => Some(format!("{method} {origin_form} HTTP/1.1")),
    };
    let length = head.length().ok_or(Refusal::Senseless)?;
    ledger.passed(&place);
    Ok(Some(Request {
        place,
        first_line,
        length,
    }))
}

/// Reads a head and what came along behind it; `bytes` are its first. No refusal where the other side left.
pub(super) async fn read_head(
    from: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> Result<(Head, Vec<u8>), Option<Refusal>> {
    let mut looked_at = 0;
    loop {
        // TLS, SOCKS and noise are told apart by their first byte, and need not be waited for.
        if bytes
            .first()
            .is_some_and(|byte| !byte.is_ascii_alphabetic())
        {
            return Err(Some(Refusal::Senseless));
        }
        if let Some(end) = head::end_of(&bytes, looked_at) {
            let rest = bytes.split_off(end);
            let head = Head::read(&bytes).ok_or(Some(Refusal::Senseless))?;
            return Ok((head, rest));
        }
        looked_at = bytes.len();
        if looked_at >= head::LARGEST {
            return Err(Some(Refusal::TooLarge));
        }
        bytes.reserve(4096);
        match from.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => {}
        }
    }
}

/// Answers and closes. What the client still sends is read for a while: closed earlier, the connection would be reset and the
/// answer lost.
async fn finish(mut client: TcpStream, answer: &[u8]) {
    let linger = async {
        client.write_all(answer).await?;
        client.shutdown().await?;
        let mut rest = client.take(LINGER_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        io::Result::Ok(())
    };
    // A client that is gone needs no answer.
    drop(timeout(LINGER, linger).await);
}
