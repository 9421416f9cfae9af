//! A TCP relay that can stop forwarding, as a link does that drops every packet.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Forwards connections of a port of its own.
pub(crate) struct Relay {
    pub(crate) port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Relay {
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_cut);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let other = TcpStream::connect(("127.0.0.1", port)).unwrap();
                carry(
                    stream.try_clone().unwrap(),
                    other.try_clone().unwrap(),
                    &flag,
                );
                carry(other, stream, &flag);
            }
        });
        Self { port: own, is_cut }
    }

    /// From now on nothing comes through, and no end either.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    /// Everything comes through again, also what waited.
    pub(crate) fn heal(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &Arc<AtomicBool>) {
    let is_cut = Arc::clone(is_cut);
    from.set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = match from.read(&mut buffer) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                other => other.unwrap_or(0),
            };
            while is_cut.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                let _ = to.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    });
}
