//! The thread that owns the connection to one host.

use std::collections::VecDeque;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::connect::{Dialer, jitter};
use super::job::{Fault, Job, Step};
use super::link::{Link, poll_until};
use super::request::Request;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::ssh_config::Hop;

/// sshd opens ten sessions per connection by default (`MaxSessions`); those that are being closed still count.
const MOST_JOBS: usize = 8;
/// How long to connect at most; whoever waits may give up before.
const CONNECT: Duration = Duration::from_secs(30);
/// With so long no word from the host it is asked for a sign of life; longer while nothing is going on.
const QUIET: Duration = Duration::from_secs(5);
const QUIET_IDLE: Duration = Duration::from_secs(15);
/// With so long no answer to that, the connection is dead.
const DEAD: Duration = Duration::from_secs(5);
/// The library may hold bytes of one channel that it read while it looked for those of another.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Between one attempt to connect and the next.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// sshd and its watchdogs punish who tries again and again what they refused.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);
/// A connection that breaks before is no better than none.
const STABLE: Duration = Duration::from_secs(2);
/// Sessions of commands that nobody waits for may fill a connection; then another one is made.
const FULL: Duration = Duration::from_secs(2);

pub(super) struct Actor {
    requests: Receiver<Request>,
    wake: UnixStream,
    dialer: Dialer,
    waiting: VecDeque<Request>,
    connection: Option<Connection>,
    /// Why not to connect before a moment.
    pause: Option<Pause>,
    /// Attempts that failed in a row.
    failures: u32,
}

struct Connection {
    since: Instant,
    link: Link,
    spot: Spot,
    jobs: Vec<Job>,
    /// When a sign of life was asked for.
    asked_for_sign: Option<Instant>,
    /// A command was given up: nothing more is asked until the host gives a sign of life.
    is_in_doubt: bool,
    /// Since when the host opens no further channel, and when to try again.
    full: Option<(Instant, Instant)>,
}

struct Pause {
    until: Instant,
    why: LinkError,
}

impl Actor {
    pub(super) fn new(requests: Receiver<Request>, wake: UnixStream, dialer: Dialer) -> Self {
        Self {
            requests,
            wake,
            dialer,
            waiting: VecDeque::new(),
            connection: None,
            pause: None,
            failures: 0,
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) {
        while self.collect() {
            self.waiting.retain(|request| !request.is_over());
            if self.connection.is_none() && !self.waiting.is_empty() {
                self.connect();
            }
            let until = match &mut self.connection {
                None => self.next_attempt(),
                Some(connection) => match connection.work(&mut self.waiting) {
                    Ok(until) => {
                        self.dialer.says(&connection.spot, connection.state());
                        until
                    }
                    Err(why) => {
                        self.lose(&why);
                        continue;
                    }
                },
            };
            self.rest(until);
        }
        if let Some(connection) = &self.connection {
            connection.link.bid_farewell();
        }
    }

    /// Takes what was asked; false when nobody is left who could ask.
    fn collect(&mut self) -> bool {
        while matches!(self.wake.read(&mut [0; 64]), Ok(1..)) {}
        loop {
            match self.requests.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn connect(&mut self) {
        if let Some(pause) = &self.pause {
            let now = Instant::now();
            if now < pause.until {
                // Who waits long enough gets another attempt; a refusal stands.
                let stands = matches!(pause.why, LinkError::Refused { .. });
                let (until, why) = (pause.until, pause.why.clone());
                let (keep, end) = (self.waiting.drain(..))
                    .partition(|request| !stands && request.deadline > until);
                self.waiting = keep;
                answer_all(end.into(), &why);
                return;
            }
        }
        // Not only as long as somebody waits: hosts that are slow to let one in would never be reached by short calls.
        match self.dialer.connect(Instant::now() + CONNECT) {
            Ok((link, hop)) => {
                tracing::debug!(host = hop.alias, at = hop.spot().0, "connected");
                self.connection = Some(Connection::new(link, &hop));
                self.pause = None;
            }
            Err(why) => self.hold_back(why),
        }
    }

    /// Answers all who wait, and does not try again at once.
    fn hold_back(&mut self, why: LinkError) {
        tracing::debug!(?why, "not connected");
        answer_all(self.waiting.drain(..).collect(), &why);
        let length = match why {
            LinkError::Refused { .. } => REFUSED_PAUSE,
            _ => self.pause_length(),
        };
        self.failures += 1;
        let until = Instant::now() + jitter(length);
        self.pause = Some(Pause { until, why });
    }

    fn pause_length(&self) -> Duration {
        (FIRST_PAUSE * 2_u32.pow(self.failures.min(6))).min(LONGEST_PAUSE)
    }

    /// The connection broke: what was asked is unknown, and what was not waits for the next one.
    fn lose(&mut self, why: &str) {
        tracing::debug!(why, "connection lost");
        let Some(connection) = self.connection.take() else {
            return;
        };
        let why = format!("the link to {} broke: {why}", connection.spot.0);
        if connection.since.elapsed() < STABLE {
            self.failures += 1;
            let why = LinkError::unreachable(&connection.spot, why.clone());
            let until = Instant::now() + jitter(self.pause_length());
            self.pause = Some(Pause { until, why });
        } else {
            self.failures = 0;
        }
        for request in connection
            .jobs
            .into_iter()
            .rev()
            .filter_map(|mut job| job.take_request())
        {
            if request.turn.is_asked() {
                request.answer(Err(LinkError::Unknown { why: why.clone() }));
            } else {
                self.waiting.push_front(request);
            }
        }
    }

    fn next_attempt(&self) -> Instant {
        let later = Instant::now() + Duration::from_mins(1);
        match &self.pause {
            Some(pause) if !self.waiting.is_empty() => pause.until,
            _ => later,
        }
    }

    fn rest(&mut self, until: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.rest(&self.wake, until);
        } else {
            let mut fds = [PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN)];
            poll_until(&mut fds, until);
        }
    }
}

fn answer_all(requests: Vec<Request>, why: &LinkError) {
    for request in requests {
        request.answer(Err(why.clone()));
    }
}

impl Connection {
    fn new(link: Link, hop: &Hop) -> Self {
        Self {
            since: Instant::now(),
            link,
            spot: hop.spot(),
            jobs: Vec::new(),
            asked_for_sign: None,
            is_in_doubt: false,
            full: None,
        }
    }

    /// Does all that can be done now. The answer is when to look again, if nothing happens before; the error is why
    /// the connection is of no more use.
    fn work(&mut self, waiting: &mut VecDeque<Request>) -> Result<Instant, String> {
        self.let_go();
        self.notice_life()?;
        self.begin(waiting);
        while self.pass(waiting)? {}
        self.jobs.retain(|job| !job.is_done());
        if self.full.is_some_and(|(since, _)| since.elapsed() > FULL) && !self.is_busy() {
            return Err("it opens no further session (MaxSessions)".to_owned());
        }
        Ok(self.look_again())
    }

    /// What keeps a request from being asked.
    fn state(&self) -> &'static str {
        if self.is_in_doubt {
            "waiting for a sign of life from it"
        } else if self.full.is_some() {
            "waiting until it opens another session (MaxSessions)"
        } else if self.jobs.iter().any(Job::is_opening) {
            "waiting until it opens a session"
        } else {
            "waiting for earlier commands to end"
        }
    }

    /// Waits. What the host says while nothing is going on is read by a job, or the socket would stay readable.
    fn rest(&mut self, wake: &UnixStream, until: Instant) {
        let heard = self.link.wait(&[wake.as_fd()], until);
        if heard && self.jobs.is_empty() {
            self.sign_of_life(Instant::now());
        }
    }

    fn is_busy(&self) -> bool {
        self.jobs.iter().any(Job::is_wanted)
    }

    /// Lets go of commands that nobody waits for. Whether the host was only slow is worth a question.
    fn let_go(&mut self) {
        for job in &mut self.jobs {
            self.is_in_doubt |= job.let_go_if_over();
        }
    }

    /// Asks for a sign of life when it is time, and gives up when none comes.
    fn notice_life(&mut self) -> Result<(), String> {
        let (now, heard) = (Instant::now(), self.link.heard);
        if let Some(asked) = self.asked_for_sign {
            if heard > asked {
                self.asked_for_sign = None;
                self.is_in_doubt = false;
            } else if now > asked + DEAD {
                return Err("it gives no sign of life".to_owned());
            }
            return Ok(());
        }
        let quiet = if self.jobs.is_empty() {
            QUIET_IDLE
        } else {
            QUIET
        };
        if self.is_in_doubt || now > heard + quiet {
            self.sign_of_life(now);
        }
        Ok(())
    }

    fn sign_of_life(&mut self, now: Instant) {
        self.asked_for_sign = Some(now);
        // One that is on its way already does as well.
        if !self.jobs.iter().any(Job::is_opening) {
            self.jobs.insert(0, Job::sign_of_life());
        }
    }

    fn begin(&mut self, waiting: &mut VecDeque<Request>) {
        let is_full = self.full.is_some_and(|(_, again)| Instant::now() < again);
        while !self.is_in_doubt
            && !is_full
            && self.jobs.iter().filter(|job| job.is_wanted()).count() < MOST_JOBS
        {
            let Some(request) = waiting.pop_front() else {
                return;
            };
            self.jobs.push(Job::script(request));
        }
    }

    /// One step of each job; whether anything moved. The library opens one channel at a time.
    fn pass(&mut self, waiting: &mut VecDeque<Request>) -> Result<bool, String> {
        let mut moved = false;
        let mut is_opening = false;
        for job in &mut self.jobs {
            if job.is_opening() && std::mem::replace(&mut is_opening, true) {
                continue;
            }
            let opens = job.is_opening() && job.is_wanted();
            match job.step(&mut self.link) {
                Ok(step) => {
                    moved |= step == Step::Moved;
                    if opens && step == Step::Moved {
                        self.full = None;
                    }
                }
                Err(Fault::Broken(why)) => return Err(why),
                Err(fault) => {
                    moved = true;
                    if job.settle(fault, &self.spot, waiting) {
                        let now = Instant::now();
                        let since = self.full.map_or(now, |(since, _)| since);
                        self.full = Some((since, now + jitter(Duration::from_millis(100))));
                    }
                }
            }
        }
        self.jobs.retain(|job| !job.is_done());
        Ok(moved)
    }

    fn look_again(&self) -> Instant {
        let now = Instant::now();
        if !self.jobs.is_empty() {
            return now + LOOK_AGAIN;
        }
        if let Some((_, again)) = self.full {
            return again;
        }
        self.link.heard + QUIET_IDLE
    }
}
