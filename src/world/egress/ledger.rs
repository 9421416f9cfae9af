//! The log of the proxy: a JSON line for each request that was refused, and now and then one with the numbers of those that
//! were let pass; on stdout, and in a file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::base::{Place, Timestamp, clean, cut, mask_keys};

/// Characters of a path that are kept.
const LONGEST_PATH: usize = 512;

/// The log.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Option<File>,
    passed: UnboundedSender<Place>,
}

/// What was let pass, to be counted.
pub(super) type Passed = UnboundedReceiver<Place>;

impl Ledger {
    /// Appends to `path`, where there is one.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(path: Option<&Path>) -> io::Result<(Self, Passed)> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let file = path.map(open).transpose()?;
        let (passed, heard) = unbounded_channel();
        Ok((Self { file, passed }, heard))
    }

    /// A request goes where it wants.
    pub(super) fn passed(&self, place: &Place) {
        // At the end nobody counts any more.
        let _ = self.passed.send(place.clone());
    }

    /// Writes down a request that may not go where it wants.
    pub(super) fn refused(&self, method: &str, place: &Place, path: Option<&str>, from_port: u16) {
        self.write(&line(now(), method, place, path, from_port));
    }

    /// Writes down how many requests went where, all told.
    pub(super) fn counted(&self, counts: &BTreeMap<Place, u64>) {
        self.write(&counts_line(now(), counts));
    }

    fn write(&self, line: &Value) {
        // In one piece, so that a line is whole or absent.
        let line = format!("{line}\n");
        let mut stdout = io::stdout().lock();
        // Nobody is left to be told where it is closed.
        let said = stdout.write_all(line.as_bytes());
        said.and_then(|()| stdout.flush()).unwrap_or_default();
        if let Some(mut file) = self.file.as_ref()
            && let Err(error) = file.write_all(line.as_bytes())
        {
            let text = format!("toolorch: the log of the proxy cannot be written: {error}\n");
            io::stderr().write_all(text.as_bytes()).unwrap_or_default();
        }
    }
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now().as_millisecond();
    Timestamp(u64::try_from(now).unwrap_or_default())
}

/// Numbers by place; no line of a refusal, since it has no host.
fn counts_line(at: Timestamp, counts: &BTreeMap<Place, u64>) -> Value {
    let counts: serde_json::Map<String, Value> = counts
        .iter()
        .map(|(place, count)| (place.to_string(), json!(count)))
        .collect();
    json!({ "at": at.to_string(), "passed": counts })
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
        let place = Place::new("api.x.com", 443);
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
        let place = Place::new("api.x.com", 443);
        let at = Timestamp(1_767_323_045_250);
        let text = line(at, "CONNECT", &place, None, 1).to_string();
        let found = crate::eval::outside_of(&text);
        assert_eq!(
            (found[0].host.as_str(), found[0].port, found[0].first_at),
            ("api.x.com", 443, at)
        );
    }

    #[test]
    fn numbers_are_no_refusals() {
        let counts = [("api.x.com", 7), ("::1", 1)];
        let counts = counts.map(|(host, count)| (Place::new(host, 443), count));
        let line = counts_line(Timestamp(1_767_323_045_250), &counts.into()).to_string();
        insta::assert_snapshot!(line, @r#"{"at":"2026-01-02T03:04:05.250Z","passed":{"[::1]:443":1,"api.x.com:443":7}}"#);
        assert_eq!(crate::eval::outside_of(&line), []);
    }
}
