//! A hub on the loopback: its API, its files, the store of large ones that it redirects to, and what goes wrong with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use toolorch::base::sha256;

/// What one repository holds.
#[derive(Clone)]
pub(super) struct Repo {
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Whoever asks for a file needs this token.
    pub(super) token: Option<String>,
    pub(super) gated: bool,
    /// Another size than a file has, as the API tells it.
    pub(super) sizes: BTreeMap<String, u64>,
    pub(super) branches: Vec<String>,
}

impl Repo {
    /// Small files as they are, the weights in two shards of `size` bytes.
    pub(super) fn tiny(size: usize) -> Self {
        let shard = |seed: usize| {
            let bytes =
                (0..size).map(|at| u8::try_from((at * 31 + at / 251 + seed) % 256).unwrap());
            bytes.collect::<Vec<u8>>()
        };
        let index = r#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
        let files = [
            ("config.json", b"{\"architectures\":[]}".to_vec()),
            ("tokenizer.json", b"{}".to_vec()),
            // The same bytes: one blob.
            ("added_tokens.json", b"{}".to_vec()),
            ("templates/extra.jinja", b"{{ x }}".to_vec()),
            ("model.safetensors.index.json", index.as_bytes().to_vec()),
            ("model-00001-of-00002.safetensors", shard(1)),
            ("model-00002-of-00002.safetensors", shard(2)),
            ("pytorch_model.bin", shard(3)),
            ("original/consolidated.pth", shard(4)),
            ("logo.png", shard(5)),
        ];
        Self {
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            files: files.map(|(path, bytes)| (path.to_owned(), bytes)).into(),
            token: None,
            gated: false,
            sizes: BTreeMap::new(),
            branches: vec!["main".to_owned()],
        }
    }
}

/// Whether a file goes to the store of large ones, as on a hub with git-lfs.
fn is_large(path: &str) -> bool {
    [".safetensors", ".bin", ".pth", ".png"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// The digest under which a cache keeps a file.
pub(super) fn blob(path: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    if is_large(path) {
        digest
    } else {
        digest[..40].to_owned()
    }
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
    /// It came to the store, not to the hub.
    pub(super) store: bool,
}

#[derive(Default)]
struct State {
    repos: BTreeMap<String, Repo>,
    asked: Vec<Asked>,
    /// How often the store breaks a file off after so many bytes.
    cuts: Vec<(String, usize)>,
    /// So many questions are answered with 503.
    busy: usize,
    /// The store answers each question for a file with other bytes, so often for each.
    spoilt: usize,
    /// How often it did, by file.
    spoiled: BTreeMap<String, usize>,
    /// The store sends so many bytes of a file, and no more before it is let go.
    held: Option<usize>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    store: String,
}

/// The hub; its threads end with the test's process.
pub(super) struct Hub {
    shared: Arc<Shared>,
    endpoint: String,
}

impl Hub {
    /// A hub with `org/tiny`.
    pub(super) fn with(repo: Repo) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = |of: &TcpListener| format!("http://{}", of.local_addr().unwrap());
        let endpoint = url(&hub);
        let state = State {
            repos: [("org/tiny".to_owned(), repo)].into(),
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            store: url(&store),
        });
        for (listener, is_store) in [(hub, false), (store, true)] {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || shared.answer_all(&stream, is_store));
                }
            });
        }
        Self { shared, endpoint }
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// All requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// Those of them that the store got for a file of the repository.
    pub(super) fn stored(&self, path: &str) -> Vec<Asked> {
        let digest = sha256(&self.file(path));
        let mut asked = self.asked();
        asked.retain(|asked| asked.store && asked.path.contains(&digest));
        asked
    }

    pub(super) fn forget(&self) {
        self.shared.state.lock().unwrap().asked.clear();
    }

    pub(super) fn file(&self, path: &str) -> Vec<u8> {
        self.shared.state.lock().unwrap().repos["org/tiny"].files[path].clone()
    }

    pub(super) fn change(&self, change: impl Fn(&mut Repo)) {
        change(
            self.shared
                .state
                .lock()
                .unwrap()
                .repos
                .get_mut("org/tiny")
                .unwrap(),
        );
    }

    /// The store breaks this file off after so many bytes, once.
    pub(super) fn cut(&self, path: &str, after: usize) {
        let digest = sha256(&self.file(path));
        self.shared.state.lock().unwrap().cuts.push((digest, after));
    }

    /// The store's next answers have other bytes, so many for each file: files come at once, in no order.
    pub(super) fn spoil(&self, times: usize) {
        let mut state = self.shared.state.lock().unwrap();
        state.spoilt = times;
        state.spoiled.clear();
    }

    /// The hub has no time for so many questions.
    pub(super) fn tire(&self, times: usize) {
        self.shared.state.lock().unwrap().busy = times;
    }

    /// The store sends only the first bytes of each file until it may go on.
    pub(super) fn hold(&self, after: usize) {
        self.shared.state.lock().unwrap().held = Some(after);
    }

    pub(super) fn go_on(&self) {
        self.shared.state.lock().unwrap().held = None;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn answer_all(&self, stream: &TcpStream, store: bool) {
        let mut lines = BufReader::new(stream);
        while let Some(asked) = read_head(&mut lines, store) {
            self.state.lock().unwrap().asked.push(asked.clone());
            let done = if store {
                self.of_store(stream, &asked)
            } else {
                self.of_hub(stream, &asked)
            };
            if done.is_none() {
                return;
            }
        }
    }

    fn of_hub(&self, stream: &TcpStream, asked: &Asked) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        if state.busy > 0 {
            state.busy -= 1;
            return reply(stream, "503 Service Unavailable", "", b"");
        }
        let token = asked
            .authorization
            .as_deref()
            .and_then(|text| text.strip_prefix("Bearer "));
        let path = asked.path.split('?').next().unwrap_or_default();
        if token == Some("unknown") {
            let message = "X-Error-Message: Invalid credentials in Authorization header\r\n";
            return reply(stream, "401 Unauthorized", message, b"");
        }
        let missing = |code: &str| {
            reply(
                stream,
                "404 Not Found",
                &format!("X-Error-Code: {code}\r\n"),
                b"",
            )
        };
        let api = path.strip_prefix("/api/models/");
        let (repo, rest) = match api {
            Some(rest) => rest
                .split_once("/revision/")
                .or(rest.split_once("/auth-check")),
            None => path[1..].split_once("/resolve/"),
        }?;
        let Some(repo) = state.repos.get(repo) else {
            return missing("RepoNotFound");
        };
        let may = repo.token.is_none() || repo.token.as_deref() == token;
        let refused = || {
            let status = if token.is_some() {
                "403 Forbidden"
            } else {
                "401 Unauthorized"
            };
            reply(stream, status, "X-Error-Code: GatedRepo\r\n", b"")
        };
        if api.is_some() && path.ends_with("/auth-check") {
            return if may {
                reply(stream, "200 OK", "", b"{}")
            } else {
                refused()
            };
        }
        if api.is_some() {
            if !repo.gated && !may {
                return reply(
                    stream,
                    "401 Unauthorized",
                    "X-Error-Code: RepoNotFound\r\n",
                    b"",
                );
            }
            if rest != repo.commit
                && !repo
                    .branches
                    .iter()
                    .any(|branch| branch.replace('/', "%2F") == rest)
            {
                return missing("RevisionNotFound");
            }
            return reply(stream, "200 OK", "", listing(repo).as_bytes());
        }
        if !may {
            return refused();
        }
        let (commit, path) = rest.split_once('/')?;
        let Some(bytes) = repo.files.get(path).filter(|_| commit == repo.commit) else {
            return missing("EntryNotFound");
        };
        if is_large(path) {
            let place = format!("Location: {}/{}?signature=x\r\n", self.store, sha256(bytes));
            return reply(stream, "302 Found", &place, b"");
        }
        reply(stream, "200 OK", "", bytes)
    }

    fn of_store(&self, mut stream: &TcpStream, asked: &Asked) -> Option<()> {
        let mut state = self.state.lock().unwrap();
        let digest = asked.path[1..].split('?').next()?.to_owned();
        let mut files = state.repos.values().flat_map(|repo| repo.files.values());
        let mut bytes = files.find(|bytes| sha256(bytes) == digest)?.clone();
        let most = state.spoilt;
        let spoiled = state.spoiled.entry(digest.clone()).or_default();
        if *spoiled < most {
            *spoiled += 1;
            bytes[0] ^= 1;
        }
        let from = asked.range.as_deref().map(|range| {
            range
                .strip_prefix("bytes=")
                .unwrap()
                .strip_suffix('-')
                .unwrap()
                .parse::<usize>()
                .unwrap()
        });
        let all = bytes.len();
        let part = &bytes[from.unwrap_or(0)..];
        let cut = state
            .cuts
            .iter()
            .position(|(of, _)| *of == digest)
            .map(|at| state.cuts.remove(at).1);
        let (status, range) = match from {
            Some(from) => (
                "206 Partial Content",
                format!("Content-Range: bytes {from}-{}/{all}\r\n", all - 1),
            ),
            None => ("200 OK", String::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\n{range}Content-Length: {}\r\n\r\n",
            part.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        if let Some(after) = cut {
            stream.write_all(&part[..after.min(part.len())]).ok()?;
            return None;
        }
        let first = state.held.unwrap_or(part.len()).min(part.len());
        stream.write_all(&part[..first]).ok()?;
        let state = self
            .changed
            .wait_while(state, |state| state.held.is_some())
            .unwrap();
        drop(state);
        stream.write_all(&part[first..]).ok()
    }
}

fn read_head(lines: &mut impl std::io::BufRead, store: bool) -> Option<Asked> {
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut asked = Asked {
        path,
        range: None,
        authorization: None,
        store,
    };
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return Some(asked);
        };
        match name.to_lowercase().as_str() {
            "range" => asked.range = Some(value.to_owned()),
            "authorization" => asked.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
}

fn reply(mut stream: &TcpStream, status: &str, headers: &str, body: &[u8]) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

fn listing(repo: &Repo) -> String {
    let mut files = String::new();
    for (path, bytes) in &repo.files {
        let size = repo.sizes.get(path).copied().unwrap_or(bytes.len() as u64);
        let digest = blob(path, bytes);
        let large = if is_large(path) {
            format!(r#","lfs":{{"sha256":"{digest}","size":{size},"pointerSize":130}}"#)
        } else {
            String::new()
        };
        let comma = if files.is_empty() { "" } else { "," };
        let id = &digest[..40];
        write!(
            files,
            r#"{comma}{{"rfilename":"{path}","size":{size},"blobId":"{id}"{large}}}"#
        )
        .unwrap();
    }
    let gated = if repo.gated { "\"manual\"" } else { "false" };
    format!(
        r#"{{"id":"org/tiny","sha":"{}","gated":{gated},"siblings":[{files}]}}"#,
        repo.commit
    )
}
