//! Signs of life of a ready server: its counters, an answer, a canary, its processes.
//!
//! A thousand servers are asked two hundred times a second. So each request is HTTP/1.0 over a connection of its own,
//! written here: kept connections would cost 30 KB each, and a client for all of HTTP twice the processor time. uvicorn
//! closes idle ones after five seconds in any case, just when we come again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::probe::{LEADS, Prober, leads_to, words};
use super::procfs::life;
use super::tree::tree_of;
use crate::facts::{Body, Canary, Counters, Door, Look};
use crate::plan::{Rung, Unit, UnitKind};

/// No page of counters is larger.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Where the signs of life of a server are looked for.
#[derive(Debug, Clone)]
pub struct Wrist {
    address: String,
    /// The same, once it was looked up.
    found: Arc<OnceCell<SocketAddr>>,
    /// Behind a tunnel, that a connection is taken proves nothing, and one that is closed at once is a refusal.
    tunnelled: bool,
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
        let place = unit.asked_at()?;
        let rungs = unit.ready.rungs.iter();
        let page = match &unit.kind {
            UnitKind::Replica { .. } => Page::Metrics,
            _ => rungs.clone().find_map(path).map_or(Page::None, Page::Path),
        };
        Some(Self {
            address: place.to_string(),
            tunnelled: unit.through.is_some(),
            found: Arc::default(),
            page,
            model: rungs.clone().find_map(completes),
            processes: leader.zip(log.map(Path::to_owned)),
        })
    }

    /// Sends a request and reads its answer to the end.
    async fn ask(&self, head: &str, body: &str, patience: Duration) -> Heard {
        let request = format!("{head} HTTP/1.0\r\nHost: {}\r\n{body}", self.address);
        let exchange = async {
            let mut stream = self.connect().await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(LARGEST).read_to_end(&mut answer).await?;
            Ok(answer)
        };
        match timeout(patience, exchange).await {
            Err(_) => Heard::Nothing(Door::Silent),
            Ok(Err(error)) => Heard::Nothing(self.of_io(&error)),
            Ok(Ok(answer)) => match status(&answer) {
                Some(status) => Heard::Answer(status, answer),
                None if self.tunnelled && answer.is_empty() => Heard::Nothing(Door::Closed),
                None => Heard::Nothing(Door::Unknown("it broke the connection off".to_owned())),
            },
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let look_up = async || {
            let mut found = lookup_host(&self.address).await?;
            found
                .next()
                .ok_or_else(|| io::Error::other("its name has no address"))
        };
        TcpStream::connect(self.found.get_or_try_init(look_up).await?).await
    }

    /// Looks at the server; its processes are looked at where that is asked for, and where it says nothing. Beside the
    /// look comes its page of counters, where it has one: whoever samples it need not ask again.
    pub async fn look(&self, deep: bool, patience: Duration) -> (Look, Option<String>) {
        let mut page = None;
        let (door, counters) = match &self.page {
            Page::Metrics => match self.ask("GET /metrics", "\r\n", patience).await {
                Heard::Answer(200, answer) => {
                    let text = page.insert(String::from_utf8_lossy(&answer).into_owned());
                    (Door::Answers, Counters::read(text))
                }
                Heard::Answer(..) => (Door::Answers, None),
                Heard::Nothing(door) => (door, None),
            },
            Page::Path(path) => match self.ask(&format!("GET {path}"), "\r\n", patience).await {
                Heard::Answer(..) => (Door::Answers, None),
                Heard::Nothing(door) => (door, None),
            },
            Page::None => (self.knock(patience).await, None),
        };
        let wanted = deep || door == Door::Silent;
        let body = match self.processes.clone().filter(|_| wanted) {
            Some((leader, log)) => {
                // A pass over all processes of the machine.
                let look = tokio::task::spawn_blocking(move || body(leader, &log));
                look.await.ok().flatten()
            }
            None => None,
        };
        let look = Look {
            door,
            counters,
            body,
        };
        (look, page)
    }

    /// Asks for a completion of one token.
    async fn canary(&self, patience: Duration) -> Canary {
        let Some(model) = &self.model else {
            return Canary::Unknown("it completes nothing".to_owned());
        };
        let wish = json!({
            "model": model,
            "messages": [{ "role": "user", "content": "Say yes." }],
            "max_tokens": 1,
        });
        let wish = wish.to_string();
        let length = wish.len();
        let body =
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{wish}");
        match self.ask("POST /v1/chat/completions", &body, patience).await {
            Heard::Answer(status, _) => Canary::Back(status),
            Heard::Nothing(Door::Silent) => Canary::Lost,
            Heard::Nothing(Door::Unknown(why)) => Canary::Unknown(why),
            Heard::Nothing(_) => Canary::Unknown("nobody listens".to_owned()),
        }
    }

    /// Whether it takes a connection.
    async fn knock(&self, patience: Duration) -> Door {
        match timeout(patience, self.connect()).await {
            Ok(Ok(stream)) => {
                if !self.tunnelled || leads_to(&stream, LEADS).await {
                    Door::Answers
                } else {
                    Door::Closed
                }
            }
            Ok(Err(error)) => self.of_io(&error),
            Err(_) => Door::Silent,
        }
    }

    /// What an error says of a server: only a refusal proves that nobody listens.
    fn of_io(&self, error: &io::Error) -> Door {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Door::Closed,
            io::ErrorKind::ConnectionReset if self.tunnelled => Door::Closed,
            io::ErrorKind::TimedOut => Door::Silent,
            _ => Door::Unknown(error.to_string()),
        }
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
    Answer(u16, Vec<u8>),
    Nothing(Door),
}

impl Prober {
    /// Asks for a completion of one token, and notes it: it shows in the server's own count.
    pub async fn canary(&self, wrist: &Wrist, patience: Duration) -> Canary {
        let canary = wrist.canary(patience).await;
        let base = format!("http://{}", wrist.address);
        match canary {
            Canary::Back(200) => self.asked(&base, true),
            Canary::Back(_) => {}
            Canary::Lost | Canary::Unknown(_) => self.asked(&base, false),
        }
        canary
    }

    /// Whether something answers at an external's URL, and is not at fault.
    ///
    /// # Errors
    /// Why it is taken for gone.
    pub async fn reach(&self, url: &str, patience: Duration) -> Result<(), String> {
        let client = self.client().await.map_err(|error| error.to_string())?;
        match client.get(url).timeout(patience).send().await {
            Ok(answer) if answer.status().is_server_error() => {
                Err(format!("it answers {}", answer.status().as_u16()))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }
}

/// The status of an answer; none where that is no HTTP.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let words = line.strip_prefix("HTTP/")?;
    words.split_ascii_whitespace().nth(1)?.parse().ok()
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

    #[test]
    fn an_answer_begins_with_its_status() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nbody"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"SSH-2.0-OpenSSH_9.6\r\n"), None);
        assert_eq!(status(b""), None);
    }

    #[tokio::test]
    async fn a_closed_port_is_told_from_a_silent_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wrist = |page| Wrist {
            address: address.to_string(),
            found: Arc::default(),
            tunnelled: false,
            page,
            model: Some("m".to_owned()),
            processes: None,
        };
        let brief = Duration::from_millis(200);
        let metrics = wrist(Page::Metrics);
        assert_eq!(metrics.look(false, brief).await.0.door, Door::Silent);
        assert_eq!(metrics.canary(brief).await, Canary::Lost);
        let (knocked, _) = wrist(Page::None).look(false, brief).await;
        assert_eq!(knocked.door, Door::Answers);
        drop(listener);
        assert_eq!(metrics.look(false, brief).await.0.door, Door::Closed);
        assert!(matches!(metrics.canary(brief).await, Canary::Unknown(_)));
        let url = format!("http://{address}/v1");
        let gone = Prober::default().reach(&url, brief).await;
        assert_eq!(gone, Err("it refuses the connection".to_owned()));
    }
}
