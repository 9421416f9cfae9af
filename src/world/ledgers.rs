//! What the proxies of clients refused, read from their logs as these grow.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::base::{Place, UnitId};
use crate::eval::{RouteNews, outside_of};
use crate::run::store::open_regular;

/// So much of a log is read at once; the rest comes with the next look.
const PIECE: u64 = 4 << 20;

/// The logs of one client's proxy.
#[derive(Debug, Default)]
struct Ledger {
    /// Each log with how much of it was read.
    logs: BTreeMap<PathBuf, u64>,
    refused: BTreeMap<Place, u64>,
    /// What was told of each place.
    told: BTreeMap<Place, u64>,
}

/// The logs of all proxies.
#[derive(Debug, Default)]
pub(super) struct Ledgers(BTreeMap<UnitId, Ledger>);

impl Ledgers {
    /// From now on these are the logs of the client's proxy; those that are known are read on.
    pub(super) fn read(&mut self, client: UnitId, logs: Vec<PathBuf>) {
        let ledger = self.0.entry(client).or_default();
        for log in logs {
            ledger.logs.entry(log).or_default();
        }
    }

    /// What was refused since the last look: each place the first time, and when its number has doubled.
    pub(super) fn look(&mut self) -> Vec<RouteNews> {
        let mut news = Vec::new();
        for (client, ledger) in &mut self.0 {
            ledger.read();
            news.extend(ledger.tell(client, |told, now| now >= told * 2));
        }
        news
    }

    /// What is still to be said of a client that ended.
    pub(super) fn leave(&mut self, client: &UnitId) -> Vec<RouteNews> {
        let Some(ledger) = self.0.get_mut(client) else {
            return Vec::new();
        };
        ledger.read();
        ledger.tell(client, |told, now| now > told)
    }
}

impl Ledger {
    fn read(&mut self) {
        for (path, read) in &mut self.logs {
            let Some(fresh) = read_on(path, *read) else {
                continue;
            };
            // A line is read when it is whole.
            let whole = fresh.iter().rposition(|byte| *byte == b'\n');
            let whole = &fresh[..whole.map_or(0, |at| at + 1)];
            *read += whole.len() as u64;
            for place in outside_of(&String::from_utf8_lossy(whole)) {
                let times = place.times;
                *self
                    .refused
                    .entry(Place::new(&place.host, place.port))
                    .or_default() += times;
            }
        }
    }

    fn tell(&mut self, client: &UnitId, due: impl Fn(u64, u64) -> bool) -> Vec<RouteNews> {
        let mut news = Vec::new();
        for (place, times) in &self.refused {
            let told = self.told.entry(place.clone()).or_default();
            if *times > *told && due(*told, *times) {
                *told = *times;
                news.push(RouteNews::Refused {
                    client: client.clone(),
                    place: place.clone(),
                    times: *times,
                });
            }
        }
        news
    }
}

fn read_on(path: &Path, from: u64) -> Option<Vec<u8>> {
    let mut file = open_regular(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut fresh = Vec::new();
    file.take(PIECE).read_to_end(&mut fresh).ok()?;
    Some(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;

    fn line(host: &str) -> String {
        format!("{{\"at\":\"2026-01-02T03:04:05Z\",\"host\":\"{host}\",\"port\":443}}\n")
    }

    /// `host times` of each piece of news.
    fn told(news: Vec<RouteNews>) -> Vec<String> {
        news.into_iter()
            .map(|news| match news {
                RouteNews::Refused { place, times, .. } => format!("{place} {times}"),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_then_what_doubles_and_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.log"), folder.path().join("a.2.log"));
        let client = UnitId::new("eval-e");
        let mut ledgers = Ledgers::default();
        ledgers.read(client.clone(), vec![first.clone()]);
        assert_eq!(told(ledgers.look()), [] as [&str; 0], "there is no log yet");

        let mut log = File::create(&first).unwrap();
        let whole = line("a.example");
        let (begin, rest) = whole.split_at(20);
        log.write_all(format!("started\n{begin}").as_bytes())
            .unwrap();
        assert_eq!(told(ledgers.look()), [] as [&str; 0], "half a line");
        log.write_all(rest.as_bytes()).unwrap();
        assert_eq!(told(ledgers.look()), ["a.example:443 1"]);
        log.write_all(line("a.example").as_bytes()).unwrap();
        assert_eq!(told(ledgers.look()), ["a.example:443 2"]);
        log.write_all(line("a.example").as_bytes()).unwrap();
        assert_eq!(told(ledgers.look()), [] as [&str; 0], "3 is less than 4");

        // Its proxy started again.
        std::fs::write(&second, line("a.example") + &line("b.example")).unwrap();
        ledgers.read(client.clone(), vec![first, second]);
        assert_eq!(
            told(ledgers.look()),
            ["a.example:443 4", "b.example:443 1"],
            "over all of its logs"
        );
        log.write_all(line("a.example").as_bytes()).unwrap();
        assert_eq!(told(ledgers.look()), [] as [&str; 0]);
        assert_eq!(told(ledgers.leave(&client)), ["a.example:443 5"]);
        assert_eq!(told(ledgers.leave(&client)), [] as [&str; 0]);
    }
}
