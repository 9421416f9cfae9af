//! Logging in, in the order of OpenSSH: keys of the agent, keys in files, answers by a person.

use std::time::{Duration, Instant};

use ssh2::{Error, KeyboardInteractivePrompt, Prompt as Asked};

use super::agent::Keyring;
use super::keys::{KeyFile, KeyState};
use super::link::{Link, Stop, code};
use crate::base::base64;
use crate::world::transport::link_error::LinkError;
use crate::world::transport::responder::{Question, Responder};
use crate::world::transport::ssh_config::Hop;

/// Who has to look at a telephone may take as long as sshd waits by default.
const PERSON: Duration = Duration::from_mins(2);

/// The library's code for a key that the host does not know.
const UNKNOWN_KEY: i32 = -18;
/// The code for a key that the host knows, and that is not enough.
const NOT_ENOUGH: i32 = -19;

/// sshd hangs up after `MaxAuthTries` keys, six by default; after fewer than these it is the network.
const FEW_KEYS: usize = 3;

/// One login.
pub(super) struct Login<'a> {
    pub(super) hop: &'a Hop,
    pub(super) link: &'a mut Link,
    pub(super) responder: Option<&'a dyn Responder>,
    pub(super) deadline: Instant,
    /// What was tried, for people.
    tried: Vec<String>,
    /// How many keys the host was shown.
    shown: usize,
}

/// What one attempt brought.
enum Attempt {
    In,
    /// The next key, please.
    Next,
    /// The key is right, and something else is wanted on top.
    Partial,
}

/// Logs in.
pub(super) fn log_in(
    hop: &Hop,
    link: &mut Link,
    responder: Option<&dyn Responder>,
    deadline: Instant,
) -> Result<(), LinkError> {
    let mut login = Login {
        hop,
        link,
        responder,
        deadline,
        tried: Vec::new(),
        shown: 0,
    };
    let mut methods = login.methods()?;
    if offers(&methods, "publickey") {
        match login.by_keys()? {
            Attempt::In => return Ok(()),
            Attempt::Partial => methods = login.methods()?,
            Attempt::Next => {}
        }
    }
    if login.link.session().authenticated() {
        return Ok(());
    }
    if offers(&methods, "keyboard-interactive") {
        return login.by_person();
    }
    Err(login.refused(&methods))
}

fn offers(methods: &str, method: &str) -> bool {
    methods.split(',').any(|offered| offered == method)
}

impl Login<'_> {
    /// What the host would accept now.
    fn methods(&mut self) -> Result<String, LinkError> {
        let user = self.hop.user.clone();
        let asked = self.link.until(self.deadline, |session| {
            session.auth_methods(&user).map(str::to_owned)
        });
        asked.map_err(|stop| self.broken(stop))
    }

    fn by_keys(&mut self) -> Result<Attempt, LinkError> {
        let mut files = Vec::new();
        for path in &self.hop.identities {
            match KeyFile::find(path) {
                Some(file) => files.push(file),
                // Of those that are there by default most are not.
                None if self.hop.identities_only => {
                    self.tried.push(format!("{} is not there", path.display()));
                }
                None => {}
            }
        }
        let mut in_agent = Vec::new();
        match self.by_agent(&files, &mut in_agent)? {
            Attempt::Next => {}
            done => return Ok(done),
        }
        for file in &files {
            let is_done = file
                .public
                .as_ref()
                .is_some_and(|key| in_agent.contains(key));
            if is_done {
                continue;
            }
            match self.by_file(file)? {
                Attempt::Next => {}
                done => return Ok(done),
            }
        }
        Ok(Attempt::Next)
    }

    /// Keys that a file names come first: each one that fails counts, and six are too many.
    fn by_agent(
        &mut self,
        files: &[KeyFile],
        done: &mut Vec<String>,
    ) -> Result<Attempt, LinkError> {
        let Some(socket) = &self.hop.agent else {
            self.tried
                .push("no agent (SSH_AUTH_SOCK is not set)".to_owned());
            return Ok(Attempt::Next);
        };
        let ring = match Keyring::open(self.link.session(), socket) {
            Ok(ring) => ring,
            Err(why) => {
                self.tried.push(format!(
                    "the agent at {} does not answer ({why})",
                    socket.display()
                ));
                return Ok(Attempt::Next);
            }
        };
        let place = |key: &ssh2::PublicKey| {
            let text = base64(key.blob());
            files
                .iter()
                .position(|file| file.public.as_ref() == Some(&text))
        };
        let mut keys: Vec<_> = ring.keys.iter().map(|key| (place(key), key)).collect();
        keys.retain(|(place, _)| place.is_some() || !self.hop.identities_only);
        keys.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
        self.tried.push(match keys.len() {
            1 => "1 key of the agent".to_owned(),
            count => format!("{count} keys of the agent"),
        });
        for (_, key) in keys {
            done.push(base64(key.blob()));
            let tried = self
                .link
                .until(self.deadline, |_| ring.log_in(&self.hop.user, key));
            match self.attempt(tried)? {
                Attempt::Next => {}
                done => return Ok(done),
            }
        }
        Ok(Attempt::Next)
    }

    fn by_file(&mut self, file: &KeyFile) -> Result<Attempt, LinkError> {
        let path = file.path.display();
        let why_not = match &file.state {
            KeyState::Open => None,
            KeyState::Locked => Some("has a passphrase, and the agent does not hold it".to_owned()),
            KeyState::PublicOnly => {
                Some("has no private key, and the agent does not hold it".to_owned())
            }
            KeyState::Device => {
                Some("is in a device, which only the agent or system-ssh can use".to_owned())
            }
            KeyState::Unreadable(why) => Some(format!("cannot be read: {why}")),
        };
        if let Some(why) = why_not {
            self.tried.push(format!("{path} {why}"));
            return Ok(Attempt::Next);
        }
        self.tried.push(path.to_string());
        let tried = self.link.until(self.deadline, |session| {
            session.userauth_pubkey_file(&self.hop.user, None, &file.path, None)
        });
        self.attempt(tried)
    }

    fn attempt(&mut self, tried: Result<(), Stop>) -> Result<Attempt, LinkError> {
        self.shown += 1;
        match tried {
            Ok(()) => Ok(Attempt::In),
            Err(Stop::Failed(error)) => match code(&error) {
                UNKNOWN_KEY => Ok(Attempt::Next),
                NOT_ENOUGH => Ok(Attempt::Partial),
                _ if is_over(&error) => Err(self.broken(Stop::Failed(error))),
                _ => {
                    self.tried
                        .push(format!("the last one failed: {}", error.message()));
                    Ok(Attempt::Next)
                }
            },
            Err(late) => Err(self.broken(late)),
        }
    }

    fn by_person(&mut self) -> Result<(), LinkError> {
        let Some(responder) = self.responder else {
            let why = format!(
                "it asks user `{}` for a password or a code, and nobody is there to answer; {}",
                self.hop.user,
                self.what_was_tried()
            );
            let fix = "log in once by hand and say `transport: system-ssh` with `ControlMaster` in \
                       ~/.ssh/config, which shares that login; or use a key that needs no second factor";
            return Err(LinkError::refused(&self.hop.spot(), why, fix));
        };
        let mut person = Person {
            responder,
            hop: self.hop,
        };
        let deadline = Instant::now() + PERSON;
        let asked = self.link.until(deadline, |session| {
            session.userauth_keyboard_interactive(&self.hop.user, &mut person)
        });
        match asked {
            Ok(()) => Ok(()),
            Err(Stop::Failed(error)) if !is_over(&error) => {
                let why = format!("the answers for user `{}` were not accepted", self.hop.user);
                Err(LinkError::refused(
                    &self.hop.spot(),
                    why,
                    "start again with the right ones",
                ))
            }
            Err(stop) => Err(self.broken(stop)),
        }
    }

    fn what_was_tried(&self) -> String {
        format!("tried: {}", self.tried.join("; "))
    }

    fn refused(&self, methods: &str) -> LinkError {
        let hop = self.hop;
        let why = format!(
            "it does not let user `{}` in; it takes {methods}; {}",
            hop.user,
            self.what_was_tried()
        );
        let locked = self
            .tried
            .iter()
            .any(|tried| tried.contains("has a passphrase"));
        let fix = if locked {
            "add the key to an agent with ssh-add, or say `transport: system-ssh` for this node"
                .to_owned()
        } else {
            format!(
                "name the right key (`identity` in the YAML, IdentityFile in ~/.ssh/config), or bring one there with \
                 `ssh-copy-id {}`; for Kerberos and certificates say `transport: system-ssh`",
                hop.alias
            )
        };
        LinkError::refused(&hop.spot(), why, fix)
    }

    fn broken(&self, stop: Stop) -> LinkError {
        let why = match stop {
            Stop::Late => "it did not answer the login in time".to_owned(),
            Stop::Failed(_) if self.shown >= FEW_KEYS => {
                let why = format!(
                    "it hung up during the login of user `{}`, as after too many keys; {}",
                    self.hop.user,
                    self.what_was_tried()
                );
                let fix = "name the one key: `identity` in the YAML, or IdentityFile and IdentitiesOnly in ~/.ssh/config";
                return LinkError::refused(&self.hop.spot(), why, fix);
            }
            Stop::Failed(error) => format!("it hung up during the login: {}", error.message()),
        };
        LinkError::unreachable(&self.hop.spot(), why)
    }
}

/// Whether the connection is gone: the library's codes for sockets that fail, and for being hung up on.
fn is_over(error: &Error) -> bool {
    matches!(code(error), -7 | -9 | -13 | -43)
}

struct Person<'a> {
    responder: &'a dyn Responder,
    hop: &'a Hop,
}

impl KeyboardInteractivePrompt for Person<'_> {
    fn prompt(&mut self, _: &str, instructions: &str, asked: &[Asked<'_>]) -> Vec<String> {
        let question = Question {
            host: self.hop.alias.clone(),
            user: self.hop.user.clone(),
            instructions: instructions.to_owned(),
            prompts: (asked.iter())
                .map(|one| (one.text.to_string(), one.echo))
                .collect(),
        };
        // sshd also asks nothing, to say something.
        if asked.is_empty() {
            return Vec::new();
        }
        self.responder.respond(&question).unwrap_or_default()
    }
}
