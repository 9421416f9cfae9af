//! One command through `ssh`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, OnceCell, Semaphore};

use super::control::command_line;
use super::words::{is_busy, meaning};
use crate::plan::SshTarget;
use crate::world::transport::error::too_late;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::remote::Carrier;
use crate::world::transport::reply::{Capture, Reply};
use crate::world::transport::script::{SHELL, Script};
use crate::world::transport::ssh2::jitter;
use crate::world::transport::transports::SshSettings;
use crate::world::transport::{Answer, Command as Asked, TransportError};

/// As with the built-in client: sshd opens ten sessions per connection by default.
const AT_ONCE: usize = 8;
/// What `ssh` still has to say after it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long sshd may have too many logins at once.
const BUSY: Duration = Duration::from_secs(30);

/// A host by the system's `ssh`.
#[derive(Debug)]
pub(in crate::world::transport) struct SystemSsh {
    target: SshTarget,
    config: Option<PathBuf>,
    line: OnceCell<Vec<String>>,
    turns: Semaphore,
    /// Whether there is a connection that all share.
    is_open: Mutex<bool>,
}

impl SystemSsh {
    pub(in crate::world::transport) fn new(target: SshTarget, settings: &SshSettings) -> Self {
        Self {
            target,
            config: settings.config.clone(),
            line: OnceCell::new(),
            turns: Semaphore::new(AT_ONCE),
            is_open: Mutex::new(false),
        }
    }

    async fn ask(&self, script: Script, limit: Duration) -> Result<Reply, LinkError> {
        let deadline = Instant::now() + limit;
        let spot = Spot::system_ssh();
        let late = |_| {
            let why = format!(
                "{}: still waiting for earlier commands to end",
                too_late(limit)
            );
            LinkError::unreachable(&spot, why)
        };
        let turn = tokio::time::timeout(limit, self.turns.acquire())
            .await
            .map_err(late)?;
        let _turn = turn.map_err(|error| LinkError::unreachable(&spot, error.to_string()))?;
        let left = deadline.saturating_duration_since(Instant::now());
        let opened = tokio::time::timeout(left, self.open(deadline, limit)).await;
        opened.map_err(late)??;
        let asked = self.attempts(&script, deadline, limit).await;
        if asked.is_err() {
            *self.is_open.lock().await = false;
        }
        asked
    }

    /// Makes the connection that all share: of many that start at once, each would make one. What fails here is
    /// nothing that anybody asked for.
    async fn open(&self, deadline: Instant, limit: Duration) -> Result<(), LinkError> {
        let unreachable = |why: String| LinkError::unreachable(&Spot::system_ssh(), why);
        let mut is_open = self.is_open.lock().await;
        if !*is_open {
            let nothing = Script::exec(&Asked::new(["true"]), &self.target.host);
            let nothing = nothing.map_err(|error| unreachable(error.to_string()))?;
            match self.attempts(&nothing, deadline, limit).await {
                Ok(_) => *is_open = true,
                Err(LinkError::Unknown { why }) => return Err(unreachable(why)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn attempts(
        &self,
        script: &Script,
        deadline: Instant,
        limit: Duration,
    ) -> Result<Reply, LinkError> {
        let line = self.line.get_or_try_init(|| self.command_line()).await?;
        let last = deadline.min(Instant::now() + BUSY);
        let mut wait = Duration::from_millis(50);
        loop {
            let mut command = Command::new("ssh");
            command.args(line).arg(SHELL);
            let run = Run::start(command, script)?;
            // In a task of its own: dropping the answer must not end what was asked in the middle.
            let running = tokio::spawn(run.finish(deadline, limit));
            let ended = running.await.map_err(|error| LinkError::Unknown {
                why: error.to_string(),
            })?;
            match ended {
                Err(End::Busy(_)) if Instant::now() + wait < last => {
                    tokio::time::sleep(jitter(wait)).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                Err(End::Busy(why) | End::Failed(why)) => return Err(why),
                Ok(reply) => return Ok(reply),
            }
        }
    }

    async fn command_line(&self) -> Result<Vec<String>, LinkError> {
        let (target, config) = (self.target.clone(), self.config.clone());
        let asked = tokio::task::spawn_blocking(move || command_line(&target, config.as_deref()));
        asked.await.map_err(|error| LinkError::Unknown {
            why: error.to_string(),
        })?
    }
}

impl Carrier for SystemSsh {
    fn node(&self) -> &str {
        &self.target.host
    }

    fn carry(&self, script: Script, limit: Duration) -> Answer<'_, Result<Reply, TransportError>> {
        Box::pin(async move {
            let program = script.program.clone();
            let asked = self.ask(script, limit).await;
            asked.map_err(|error| error.told(&self.target.host, &program))
        })
    }
}

/// One `ssh` at work.
struct Run {
    child: Child,
    input: Vec<u8>,
    stdout: Capture,
    stderr: Capture,
    /// Its own words, and whatever else came before bash ran.
    said: Vec<u8>,
}

enum End {
    /// sshd had too many logins at once.
    Busy(LinkError),
    Failed(LinkError),
}

impl Run {
    fn start(mut command: Command, script: &Script) -> Result<Self, LinkError> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for us: what we began is brought to its end.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let why = format!("cannot run `ssh`: {error}");
                let fix = "install OpenSSH's client (apt install openssh-client), or say `transport: ssh2`";
                LinkError::refused(&Spot::system_ssh(), why, fix)
            })?;
        Ok(Self {
            child,
            input: script.bytes.clone(),
            stdout: Capture::of(script),
            stderr: Capture::of(script),
            said: Vec::new(),
        })
    }

    async fn finish(mut self, deadline: Instant, limit: Duration) -> Result<Reply, End> {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(ended) = tokio::time::timeout(left, self.talk()).await else {
            let _ = self.child.kill().await;
            let why = format!("{}; it may still be at work there", too_late(limit));
            return Err(End::Failed(LinkError::Unknown { why }));
        };
        if let Some(reply) = Reply::of(&mut self.stdout, &mut self.stderr) {
            // It may be about to leave the connection to a process of its own.
            tokio::spawn(async move { self.child.wait().await });
            return Ok(reply);
        }
        Err(self.without_end(ended))
    }

    /// Until the last marks, or until `ssh` ends. A shared connection may keep its outputs open longer.
    async fn talk(&mut self) -> Option<i32> {
        let mut stdin = self.child.stdin.take();
        let (mut stdout, mut stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let input = std::mem::take(&mut self.input);
        let feed = async {
            if let Some(mut stdin) = stdin.take() {
                // Who reads only a part of it is free to.
                let _ = stdin.write_all(&input).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::pin!(feed);
        let (mut out, mut err) = (vec![0; 32 * 1024], vec![0; 32 * 1024]);
        let mut exit = None;
        while !(self.stdout.ended() && self.stderr.ended()) {
            let last_words = async {
                match exit {
                    Some(_) => tokio::time::sleep(LAST_WORDS).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut feed => {}
                count = read(&mut stdout, &mut out) => self.stdout.feed(&out[..count]),
                count = read(&mut stderr, &mut err) => {
                    if !self.stderr.begun() && self.said.len() < 64 * 1024 {
                        self.said.extend_from_slice(&err[..count]);
                    }
                    self.stderr.feed(&err[..count]);
                }
                ended = self.child.wait(), if exit.is_none() => {
                    exit = Some(ended.ok().and_then(|status| status.code()).unwrap_or(255));
                }
                () = last_words => break,
            }
            if exit.is_some() && stdout.is_none() && stderr.is_none() {
                break;
            }
        }
        exit
    }

    fn without_end(&self, exit: Option<i32>) -> End {
        let said = String::from_utf8_lossy(&self.said);
        if self.stdout.begun() || self.stderr.begun() {
            let words = self.stderr.words();
            let why = format!(
                "the link to it broke, or bash there was ended in the middle of it; last words: {words}"
            );
            return End::Failed(LinkError::Unknown { why });
        }
        match exit {
            Some(255) | None if is_busy(&said) => End::Busy(meaning(&said)),
            Some(255) | None => End::Failed(meaning(&said)),
            Some(_) => End::Failed(crate::world::transport::remote::no_shell(
                &Spot::system_ssh(),
                &format!("{} {}", self.stderr.words(), self.stdout.words()),
            )),
        }
    }
}

/// Reads once; at the end there is nothing left to read from.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> usize {
    let Some(stream) = from else {
        return std::future::pending().await;
    };
    let count = stream.read(into).await.unwrap_or(0);
    if count == 0 {
        *from = None;
    }
    count
}
