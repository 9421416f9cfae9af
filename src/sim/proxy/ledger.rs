//! The log of what was refused: one JSON line per request, on stdout and in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::super::listen;
use super::target::Place;
use crate::base::{Timestamp, clean, cut, mask_keys};

/// Characters of a path that are kept.
const LONGEST_PATH: usize = 512;

/// The log.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Option<File>,
}

impl Ledger {
    /// Appends to `path`, where there is one.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let file = path.map(open).transpose()?;
        Ok(Self { file })
    }

    /// Writes down a request that would have left the machine.
    pub(super) fn refused(&self, method: &str, place: &Place, path: Option<&str>, from_port: u16) {
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
        let line = line(Timestamp(now), method, place, path, from_port).to_string();
        listen::say(&line);
        if let Some(mut file) = self.file.as_ref() {
            // In one piece, so that a line is whole or absent.
            if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
                let text = format!("toolorch sim proxy: the log cannot be written: {error}\n");
                io::stderr().write_all(text.as_bytes()).unwrap_or_default();
            }
        }
    }
}

/// A line: where to and when, and nothing that may hold a secret.
fn line(at: Timestamp, method: &str, place: &Place, path: Option<&str>, from_port: u16) -> Value {
    let path = path.map(|path| cut(&clean(&mask_keys(path)), LONGEST_PATH));
    json!({
        "at": at.to_string(), "method": method, "host": place.host, "port": place.port, "path": path,
        "from_port": from_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_to_and_masks_keys() {
        let place = Place {
            host: "api.x.com".to_owned(),
            port: 443,
        };
        let at = Timestamp(1_767_323_045_250);
        let lines = [
            line(at, "CONNECT", &place, None, 51234),
            line(
                at,
                "POST",
                &place,
                Some("/v1/sk-AbCd0123456789efghIJKL/\u{1b}[2Jx"),
                7,
            ),
        ];
        insta::assert_snapshot!(lines.map(|line| line.to_string()).join("\n"), @r#"
        {"at":"2026-01-02T03:04:05.250Z","method":"CONNECT","host":"api.x.com","port":443,"path":null,"from_port":51234}
        {"at":"2026-01-02T03:04:05.250Z","method":"POST","host":"api.x.com","port":443,"path":"/v1/*************************/x","from_port":7}
        "#);
        let long = line(at, "GET", &place, Some(&"/a".repeat(1000)), 1);
        assert_eq!(long["path"].as_str().unwrap().chars().count(), LONGEST_PATH);
    }

    #[test]
    fn what_is_written_is_read_by_the_evaluation() {
        let place = Place {
            host: "api.x.com".to_owned(),
            port: 443,
        };
        let at = Timestamp(1_767_323_045_250);
        let text = line(at, "CONNECT", &place, None, 1).to_string();
        let found = crate::eval::outside_of(&text);
        assert_eq!(
            (found[0].host.as_str(), found[0].port, found[0].first_at),
            ("api.x.com", 443, at)
        );
    }
}
