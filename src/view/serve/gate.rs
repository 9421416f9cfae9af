//! The door: who comes in, how many at once, and how long they may say nothing.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::guard::{self, Refusal};

/// So many connections at once: far more than the browsers of one person have, and far fewer than the open files of a process.
/// One more ends the oldest, so that its user gets in whatever else of his is connected.
const MOST: usize = 64;
/// A connection on which nothing could be answered for so long is over: its request never ends, or nobody reads. A browser that
/// follows the run hears something every 15 seconds.
const QUIET: Duration = Duration::from_secs(30);
/// What is wrong with a listener for a moment (no open file left) is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Listens for one user, and for root.
#[derive(Debug)]
pub(super) struct Gate {
    listener: TcpListener,
    user: u32,
    most: usize,
    quiet: Duration,
    /// The connections that are open, oldest first; each ends when its sender is gone.
    inside: VecDeque<oneshot::Sender<()>>,
}

impl Gate {
    /// A gate before this listener.
    pub(super) fn new(listener: TcpListener, user: u32) -> Self {
        Self {
            listener,
            user,
            most: MOST,
            quiet: QUIET,
            inside: VecDeque::new(),
        }
    }

    fn let_in(&mut self, stream: TcpStream) -> Visit {
        self.inside.retain(|visit| !visit.is_closed());
        while self.inside.len() >= self.most {
            self.inside.pop_front();
        }
        let (sender, over) = oneshot::channel();
        self.inside.push_back(sender);
        Visit {
            stream,
            over,
            quiet: self.quiet,
            late: Box::pin(sleep(self.quiet)),
        }
    }
}

impl Listener for Gate {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        loop {
            let accepted = match self.listener.accept().await {
                Ok((stream, peer)) => stream.local_addr().map(|own| (stream, peer, own)),
                Err(error) => {
                    sleep(AGAIN).await;
                    Err(error)
                }
            };
            let Ok((stream, peer, own)) = accepted else {
                continue;
            };
            match guard::user(peer, own, self.user) {
                Ok(()) => return (self.let_in(stream), peer),
                Err(refusal) => refuse(&stream, &refusal),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Says no before anything is read. Nothing is waited for: a few words fit into any connection that was just opened.
fn refuse(stream: &TcpStream, refusal: &Refusal) {
    let words = format!("{refusal}\n");
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{words}",
        words.len()
    );
    // Whoever does not take it does without.
    let _ = stream.try_write(answer.as_bytes());
    // What lies there unread would take the answer back.
    let _ = stream.try_read(&mut [0; 4096]);
}

/// One connection.
#[derive(Debug)]
pub(super) struct Visit {
    stream: TcpStream,
    over: oneshot::Receiver<()>,
    quiet: Duration,
    late: Pin<Box<Sleep>>,
}

impl Visit {
    /// Why it is over, if it is.
    fn over(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if Pin::new(&mut self.over).poll(cx).is_ready() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if self.late.as_mut().poll(cx).is_ready() {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn answered(&mut self) {
        let later = Instant::now() + self.quiet;
        self.late.as_mut().reset(later);
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.over(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.over(cx)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.answered();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.over(cx)?;
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.answered();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

    /// A gate in front of a word, and where it is.
    async fn gate(most: usize, quiet: Duration) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let own = listener.local_addr().unwrap();
        let user = rustix::process::getuid().as_raw();
        let gate = Gate {
            most,
            quiet,
            ..Gate::new(listener, user)
        };
        let word = Router::new().route("/", get(|| async { "hello" }));
        tokio::spawn(async move { axum::serve(gate, word).await });
        own
    }

    async fn connect(own: SocketAddr) -> TcpStream {
        TcpStream::connect(own).await.unwrap()
    }

    /// What comes until the connection ends, by whatever.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        String::from_utf8(all).unwrap()
    }

    async fn answer(own: SocketAddr) -> String {
        let mut stream = connect(own).await;
        stream.write_all(ASK).await.unwrap();
        rest(&mut stream).await
    }

    #[tokio::test]
    async fn whoever_comes_last_gets_in_and_the_oldest_leaves() {
        let own = gate(3, QUIET).await;
        let mut idle = Vec::new();
        for _ in 0..20 {
            let mut stream = connect(own).await;
            stream.write_all(&ASK[..10]).await.unwrap();
            idle.push(stream);
        }
        assert!(answer(own).await.ends_with("hello"));
        for stream in &mut idle[..17] {
            assert_eq!(rest(stream).await, "");
        }
        // Those that still are in go on.
        let last = idle.last_mut().unwrap();
        last.write_all(&ASK[10..]).await.unwrap();
        assert!(rest(last).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_request_that_never_ends_does() {
        let own = gate(MOST, Duration::from_millis(20)).await;
        let mut stream = connect(own).await;
        stream.write_all(&ASK[..10]).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        assert_eq!(rest(&mut connect(own).await).await, "");
    }
}
