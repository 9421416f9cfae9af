//! One channel of a connection: a script on its way through it, or nothing but a sign of life.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write as _};

use ssh2::{Channel, Error};

use super::link::{Link, code, would_block};
use super::request::Request;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::remote::no_shell;
use crate::world::transport::reply::{Capture, Reply};
use crate::world::transport::script::SHELL;

/// The library's code for a channel that the host does not open.
const NOT_OPENED: i32 = -21;
/// The code for a request that the host denies.
const DENIED: i32 = -22;

/// A channel at work.
pub(super) struct Job {
    work: Option<Work>,
    stage: Stage,
}

struct Work {
    request: Request,
    sent: usize,
    is_all_sent: bool,
    stdout: Capture,
    stderr: Capture,
}

enum Stage {
    Opening { is_begun: bool },
    Starting(Channel),
    Running(Channel),
    Closing(Channel),
    Done,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Moved,
    Waits,
}

/// Why a job cannot go on.
pub(super) enum Fault {
    /// The host opens no further channel on this connection.
    Full,
    /// The host runs no commands.
    Denied(String),
    /// bash did not run; the words are what there was instead.
    NoShell(String),
    /// bash ran and ended in the middle.
    CutShort,
    /// The connection is of no more use.
    Broken(String),
}

impl Job {
    /// Brings a script there.
    pub(super) fn script(request: Request) -> Self {
        let work = Work {
            stdout: Capture::of(&request.script),
            stderr: Capture::of(&request.script),
            request,
            sent: 0,
            is_all_sent: false,
        };
        Self::new(Some(work))
    }

    /// Opens a channel and closes it, which only a living host answers. Also lets the library take in what the
    /// host sent of itself: it reads only for channels.
    pub(super) fn sign_of_life() -> Self {
        Self::new(None)
    }

    fn new(work: Option<Work>) -> Self {
        Self {
            work,
            stage: Stage::Opening { is_begun: false },
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. })
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Whether somebody waits for its reply.
    pub(super) fn is_wanted(&self) -> bool {
        self.work.is_some()
    }

    /// The request, for whoever answers it or asks again.
    pub(super) fn take_request(&mut self) -> Option<Request> {
        self.work.take().map(|work| work.request)
    }

    /// Lets go of a script that nobody waits for; its channel is closed when that is possible. Whether the host
    /// was asked.
    pub(super) fn let_go_if_over(&mut self) -> bool {
        if self
            .work
            .as_ref()
            .is_none_or(|work| !work.request.is_over())
        {
            return false;
        }
        let asked = self
            .take_request()
            .is_some_and(|request| request.turn.give_up());
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Opening { is_begun: false } | Stage::Done => Stage::Done,
            Stage::Opening { is_begun: true } => Stage::Opening { is_begun: true },
            Stage::Starting(channel) | Stage::Running(channel) | Stage::Closing(channel) => {
                Stage::Closing(channel)
            }
        };
        asked
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn step(&mut self, link: &mut Link) -> Result<Step, Fault> {
        match &mut self.stage {
            Stage::Opening { is_begun } => {
                *is_begun = true;
                let opened = link.session().channel_session();
                let Some(channel) = settled(opened)? else {
                    return Ok(Step::Waits);
                };
                self.stage = self.after_opening(channel);
                Ok(Step::Moved)
            }
            Stage::Starting(channel) => {
                let Some(()) = settled(channel.exec(SHELL))? else {
                    return Ok(Step::Waits);
                };
                self.advance(Stage::Running);
                Ok(Step::Moved)
            }
            Stage::Running(channel) => {
                let Some(work) = &mut self.work else {
                    self.advance(Stage::Closing);
                    return Ok(Step::Moved);
                };
                let step = work.step(channel)?;
                if let Some(reply) = Reply::of(&mut work.stdout, &mut work.stderr) {
                    if let Some(request) = self.take_request() {
                        request.answer(Ok(reply));
                    }
                    self.advance(Stage::Closing);
                    return Ok(Step::Moved);
                }
                Ok(step)
            }
            Stage::Closing(channel) => match settled(channel.close()) {
                Ok(None) => Ok(Step::Waits),
                Ok(Some(())) => {
                    self.stage = Stage::Done;
                    Ok(Step::Moved)
                }
                Err(fault) => Err(fault),
            },
            Stage::Done => Ok(Step::Waits),
        }
    }

    /// The last moment at which nothing was asked.
    fn after_opening(&mut self, channel: Channel) -> Stage {
        match &self.work {
            Some(work) if work.request.turn.begin() => Stage::Starting(channel),
            _ => {
                self.work = None;
                Stage::Closing(channel)
            }
        }
    }

    /// Ends what cannot go on: whoever waits hears of it, or, and then the answer is true, its request waits for
    /// another channel.
    pub(super) fn settle(
        &mut self,
        fault: Fault,
        spot: &Spot,
        waiting: &mut VecDeque<Request>,
    ) -> bool {
        let request = self.take_request();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Starting(channel) | Stage::Running(channel) => Stage::Closing(channel),
            Stage::Opening { .. } | Stage::Closing(_) | Stage::Done => Stage::Done,
        };
        let Some(request) = request else {
            return false;
        };
        let why = match fault {
            Fault::Full => {
                waiting.push_front(request);
                return true;
            }
            Fault::Denied(words) | Fault::NoShell(words) => no_shell(spot, &words),
            Fault::CutShort => LinkError::Unknown {
                why: "bash there was ended in the middle of it".to_owned(),
            },
            Fault::Broken(why) => LinkError::Unknown { why },
        };
        request.answer(Err(why));
        false
    }

    fn advance(&mut self, to: impl FnOnce(Channel) -> Stage) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Starting(channel) | Stage::Running(channel) | Stage::Closing(channel) => {
                to(channel)
            }
            other => other,
        };
    }
}

impl Work {
    fn step(&mut self, channel: &mut Channel) -> Result<Step, Fault> {
        let mut moved = self.send(channel)?;
        let mut chunk = vec![0; 32 * 1024];
        let stdout = read(channel, &mut chunk)?;
        if let Some(count) = stdout {
            self.stdout.feed(&chunk[..count]);
        }
        let mut errors = channel.stderr();
        let stderr = read(&mut errors, &mut chunk)?;
        if let Some(count) = stderr {
            self.stderr.feed(&chunk[..count]);
        }
        moved |= stdout.is_some_and(|count| count > 0) || stderr.is_some_and(|count| count > 0);
        // All was delivered, and the last marks are not there.
        if !moved && channel.eof() && !(self.stdout.ended() && self.stderr.ended()) {
            return Err(self.cut_short());
        }
        Ok(if moved { Step::Moved } else { Step::Waits })
    }

    /// Either bash never ran, or it was killed.
    fn cut_short(&self) -> Fault {
        if self.stdout.begun() || self.stderr.begun() {
            return Fault::CutShort;
        }
        let words = [&self.stderr, &self.stdout].map(Capture::words);
        Fault::NoShell(words.join(" "))
    }

    fn send(&mut self, channel: &mut Channel) -> Result<bool, Fault> {
        let bytes = &self.request.script.bytes;
        if self.sent < bytes.len() {
            match channel.write(&bytes[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                // Who reads only a part of it is free to.
                Err(_) if channel.eof() => self.sent = bytes.len(),
                Err(error) => return Err(broken(&error)),
            }
        }
        if self.is_all_sent {
            return Ok(false);
        }
        match settled(channel.send_eof()) {
            Ok(None) => Ok(false),
            Ok(Some(())) => {
                self.is_all_sent = true;
                Ok(true)
            }
            Err(_) if channel.eof() => {
                self.is_all_sent = true;
                Ok(true)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Some bytes, none at the end, and nothing where one has to wait.
fn read(from: &mut impl io::Read, into: &mut [u8]) -> Result<Option<usize>, Fault> {
    match from.read(into) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(broken(&error)),
    }
}

fn broken(error: &io::Error) -> Fault {
    Fault::Broken(error.to_string())
}

/// Nothing where one has to wait.
fn settled<T>(called: Result<T, Error>) -> Result<Option<T>, Fault> {
    match called {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if would_block(&error) => Ok(None),
        Err(error) => Err(match code(&error) {
            NOT_OPENED => Fault::Full,
            DENIED => Fault::Denied(error.message().to_owned()),
            _ => Fault::Broken(error.message().to_owned()),
        }),
    }
}
