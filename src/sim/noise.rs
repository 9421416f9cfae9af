//! What a server writes to its log while its log is what goes wrong.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::endpoint::Endpoint;
use super::faults::Kind;

/// How often escape sequences are written.
const ESCAPES_EVERY: Duration = Duration::from_millis(250);
/// So much of a flood at once,
const PIECE: usize = 1 << 20;
/// as often: 50 MB a second.
const PIECE_EVERY: Duration = Duration::from_millis(20);

/// What a terminal would obey: titles, the screen, colours, the clipboard, links, answers to itself, 8-bit controls, a line
/// that overwrites itself, text against the reading direction.
const SEQUENCES: [&[u8]; 12] = [
    b"\x1b]0;toolorch: all is well\x07a title",
    b"\x1b[2J\x1b[Ha clear screen",
    b"\x1b[31;5;7mcolours that blink",
    b"\x1b]52;c;cm0gLXJmIH4K\x07a full clipboard",
    b"\x1b]8;;https://example.invalid\x1b\\a link\x1b]8;;\x1b\\",
    b"\x1b[6n\x1b[c\x1b[?1049hquestions to the terminal",
    b"\x9b2J\x9d0;bytes\x9ceight-bit controls as bytes",
    b"\xc2\x9b2J\xc2\x9d0;letters\xc2\x9ceight-bit controls as letters",
    b"ERROR it failed\rINFO:     Application startup complete.\x08\x08",
    b"\x1bPq#0;2;0;0;0\x1b\\\x1b^private\x1b\\a picture",
    b"\x07\x07\x0e\x0f\x00\x7fbells and shifts",
    b"\xe2\x80\xaetext from right to left\xe2\x81\xa6\xe2\x80\xa8",
];

/// Writes escape sequences and floods whenever they are due.
pub(super) async fn noise(endpoint: &Endpoint) {
    tokio::join!(escapes(endpoint), flood(endpoint));
}

async fn escapes(endpoint: &Endpoint) {
    loop {
        endpoint.until_it_suffers(Kind::Escapes).await;
        while endpoint.suffers(Kind::Escapes) {
            endpoint
                .log
                .bytes(&[SEQUENCES.join(&b'\n').as_slice(), b"\x1b[0m\n"].concat());
            tokio::time::sleep(ESCAPES_EVERY).await;
        }
    }
}

async fn flood(endpoint: &Endpoint) {
    let line =
        "DEBUG 11-26 00:00:00 [flood.py:1] the simulated server says far more than anybody reads\n";
    loop {
        endpoint.until_it_suffers(Kind::Flood).await;
        let piece = line.repeat(PIECE / line.len());
        let mut ticks = interval(PIECE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        while endpoint.suffers(Kind::Flood) {
            endpoint.log.bytes(piece.as_bytes());
            ticks.tick().await;
        }
    }
}
