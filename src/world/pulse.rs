//! Signs of life of a ready server: its counters, an answer, a canary, its processes.

use std::error::Error as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::probe::{Prober, bracketed};
use super::procfs::life;
use super::tree::tree_of;
use crate::facts::{Body, Canary, Counters, Door, Look};
use crate::plan::{Rung, Unit, UnitKind};

/// Where the signs of life of a server are looked for.
#[derive(Debug, Clone)]
pub struct Wrist {
    address: String,
    /// The page that is read.
    page: Page,
    /// The id that completes.
    model: Option<String>,
    /// Its first process and its log, where they are known.
    processes: Option<(u32, PathBuf)>,
}

#[derive(Debug, Clone)]
enum Page {
    /// It has counters.
    Metrics,
    /// An answer is all that it can tell.
    Path(String),
    /// It takes connections.
    None,
}

impl Wrist {
    /// Where this server's signs are; none for what has no port.
    pub fn of(unit: &Unit, leader: Option<u32>, log: Option<&Path>) -> Option<Self> {
        let port = unit.port?;
        let rungs = unit.ready.rungs.iter();
        let page = match &unit.kind {
            UnitKind::Replica { .. } => Page::Metrics,
            _ => rungs.clone().find_map(path).map_or(Page::None, Page::Path),
        };
        Some(Self {
            address: format!("{}:{port}", bracketed(&unit.address)),
            page,
            model: rungs.clone().find_map(completes),
            processes: leader.zip(log.map(Path::to_owned)),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn path(rung: &Rung) -> Option<String> {
    match rung {
        Rung::Health { path } => Some(path.clone()),
        _ => None,
    }
}

fn completes(rung: &Rung) -> Option<String> {
    match rung {
        Rung::Completion { id } => Some(id.clone()),
        _ => None,
    }
}

/// What a request brought.
enum Heard {
    Answer(u16, String),
    Nothing(Door),
}

impl Prober {
    /// Looks at a server; its processes are looked at where that is asked for, and where it says nothing.
    pub async fn look(&self, wrist: &Wrist, deep: bool, patience: Duration) -> Look {
        let (door, counters) = match &wrist.page {
            Page::Metrics => self.counters(&wrist.url("/metrics"), patience).await,
            Page::Path(path) => match self.ask(&wrist.url(path), patience).await {
                Heard::Answer(..) => (Door::Answers, None),
                Heard::Nothing(door) => (door, None),
            },
            Page::None => (knock(&wrist.address, patience).await, None),
        };
        let wanted = deep || door == Door::Silent;
        let body = match wrist.processes.clone().filter(|_| wanted) {
            Some((leader, log)) => {
                // A pass over all processes of the machine.
                let look = tokio::task::spawn_blocking(move || body(leader, &log));
                look.await.ok().flatten()
            }
            None => None,
        };
        Look {
            door,
            counters,
            body,
        }
    }

    /// Asks for a completion of one token.
    pub async fn canary(&self, wrist: &Wrist, patience: Duration) -> Canary {
        let Some(model) = &wrist.model else {
            return Canary::Unknown("it completes nothing".to_owned());
        };
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => return Canary::Unknown(format!("no HTTP client: {error}")),
        };
        let body = json!({
            "model": model,
            "messages": [{ "role": "user", "content": "Say yes." }],
            "max_tokens": 1,
        });
        let url = wrist.url("/v1/chat/completions");
        let request = client.post(url).timeout(patience).json(&body);
        let heard = heard(request).await;
        // It shows in the server's own count.
        match heard {
            Heard::Answer(200, _) => self.asked(&wrist.url(""), true),
            Heard::Answer(..) => {}
            Heard::Nothing(_) => self.asked(&wrist.url(""), false),
        }
        match heard {
            Heard::Answer(status, _) => Canary::Back(status),
            Heard::Nothing(Door::Silent) => Canary::Lost,
            Heard::Nothing(Door::Unknown(why)) => Canary::Unknown(why),
            Heard::Nothing(_) => Canary::Unknown("nobody listens".to_owned()),
        }
    }

    /// Whether something answers at an external's URL, and is not at fault.
    ///
    /// # Errors
    /// Why it is taken for gone.
    pub async fn reach(&self, url: &str, patience: Duration) -> Result<(), String> {
        match self.ask(url, patience).await {
            Heard::Answer(status @ 500.., _) => Err(format!("it answers {status}")),
            Heard::Answer(..) => Ok(()),
            Heard::Nothing(Door::Closed) => Err("it refuses the connection".to_owned()),
            Heard::Nothing(Door::Unknown(why)) => Err(why),
            Heard::Nothing(_) => Err("it does not answer".to_owned()),
        }
    }

    async fn counters(&self, url: &str, patience: Duration) -> (Door, Option<Counters>) {
        match self.ask(url, patience).await {
            Heard::Answer(200, page) => (Door::Answers, Counters::read(&page)),
            Heard::Answer(..) => (Door::Answers, None),
            Heard::Nothing(door) => (door, None),
        }
    }

    async fn ask(&self, url: &str, patience: Duration) -> Heard {
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => return Heard::Nothing(Door::Unknown(format!("no HTTP client: {error}"))),
        };
        match heard(client.get(url).timeout(patience)).await {
            // A kept connection may be closed at the very moment in which it is used again: uvicorn keeps them for five
            // seconds, as long as our pause.
            Heard::Nothing(Door::Unknown(_)) => heard(client.get(url).timeout(patience)).await,
            other => other,
        }
    }
}

async fn heard(request: reqwest::RequestBuilder) -> Heard {
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, response.text().await?))
    };
    match answer.await {
        Ok((status, text)) => Heard::Answer(status, text),
        Err(error) => Heard::Nothing(door(&error)),
    }
}

/// What an error says of a server: only a refusal proves that nobody listens.
fn door(error: &reqwest::Error) -> Door {
    if error.is_timeout() {
        return Door::Silent;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return of_io(error);
        }
        cause = inner.source();
    }
    Door::Unknown("it broke the connection off".to_owned())
}

fn of_io(error: &io::Error) -> Door {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Door::Closed,
        io::ErrorKind::TimedOut => Door::Silent,
        _ => Door::Unknown(error.to_string()),
    }
}

/// Whether it takes a connection.
async fn knock(address: &str, patience: Duration) -> Door {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Door::Answers,
        Ok(Err(error)) => of_io(&error),
        Err(_) => Door::Silent,
    }
}

/// What the processes of a unit do; none if its first one is gone.
fn body(leader: u32, log: &Path) -> Option<Body> {
    let mut body = Body {
        computed: 0,
        log_bytes: std::fs::metadata(log).map_or(0, |metadata| metadata.len()),
        stopped: None,
    };
    let mut any = false;
    for pid in tree_of(leader)? {
        let Some(life) = life(pid) else {
            continue;
        };
        any = true;
        body.computed += life.computed;
        if life.stopped {
            body.stopped = body.stopped.or(Some(pid));
        }
    }
    any.then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_computes() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "four").unwrap();
        let first = body(std::process::id(), log.path()).unwrap();
        assert_eq!((first.log_bytes, first.stopped), (4, None));
        while body(std::process::id(), log.path()).unwrap().computed <= first.computed {}
        assert_eq!(body(u32::MAX, log.path()), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_told_from_a_silent_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wrist = |page| Wrist {
            address: address.to_string(),
            page,
            model: Some("m".to_owned()),
            processes: None,
        };
        let prober = Prober::default();
        let brief = Duration::from_millis(200);
        let metrics = wrist(Page::Metrics);
        assert_eq!(prober.look(&metrics, false, brief).await.door, Door::Silent);
        assert_eq!(prober.canary(&metrics, brief).await, Canary::Lost);
        let knocked = prober.look(&wrist(Page::None), false, brief).await;
        assert_eq!(knocked.door, Door::Answers);
        drop(listener);
        assert_eq!(prober.look(&metrics, false, brief).await.door, Door::Closed);
        assert!(matches!(
            prober.canary(&metrics, brief).await,
            Canary::Unknown(_)
        ));
        let gone = prober.reach(&metrics.url("/v1"), brief).await;
        assert_eq!(gone, Err("it refuses the connection".to_owned()));
    }
}
