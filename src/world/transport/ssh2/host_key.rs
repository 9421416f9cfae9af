//! Whether the host that answers is the one that is meant. Always strict; nothing is ever written.

use ssh2::{Error, MethodType, Session};

use super::fingerprint::{fingerprint, is_pinned, key_type};
use super::known_hosts::{Kind, Known, known};
use crate::base::base64;
use crate::world::transport::link_error::LinkError;
use crate::world::transport::ssh_config::Hop;

/// The types of keys that are taken, best first: those of OpenSSH without certificates, which libssh2 cannot
/// check, and without SHA-1.
pub(super) const TYPES: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];

/// By what a host is known.
pub(super) enum Trust {
    /// By a fingerprint in the YAML, and by nothing else.
    Pin(String),
    /// By lines of its name, and those of its name without the port.
    Lines { own: Vec<Known>, loose: Vec<Known> },
}

/// What comes of a host's key.
pub(super) enum Verdict {
    /// It is the host.
    Meant,
    /// It may be, by a key of another type: a host has several, and the pin may be that of any.
    OtherType(LinkError),
    /// It is not, or nobody knows.
    Refused(LinkError),
}

impl Trust {
    /// What is known of a host before it is asked.
    pub(super) fn of(hop: &Hop, session: &Session) -> Self {
        if let Some(pin) = &hop.pin {
            return Self::Pin(pin.clone());
        }
        let name = hop.key_name();
        let own = known(&hop.known_hosts, &name, session);
        let bare = hop.host.to_lowercase();
        // As OpenSSH does: a key of the name without the port is taken, but another one there means nothing.
        let loose = if own.is_empty() && bare != name && hop.key_alias.is_none() {
            known(&hop.known_hosts, &bare, session)
        } else {
            Vec::new()
        };
        Self::Lines { own, loose }
    }

    /// Asks for a key of a type that is known, or of the n-th type where a pin is compared with each.
    pub(super) fn prefer(&self, session: &Session, nth: Option<usize>) -> Result<(), Error> {
        let prefs = match (self, nth) {
            (_, Some(nth)) => TYPES[nth].to_owned(),
            (Self::Pin(_), None) => in_order(|_| false),
            (Self::Lines { own, loose }, None) => in_order(|group| {
                let mut lines = own
                    .iter()
                    .chain(loose)
                    .filter(|line| line.kind == Kind::Trusted);
                lines.any(|line| is_of(&line.key_type, group))
            }),
        };
        session.method_pref(MethodType::HostKey, &prefs)
    }

    /// Compares the key that the host gave.
    pub(super) fn judge(&self, hop: &Hop, key: &[u8]) -> Verdict {
        match self {
            Self::Pin(pin) if is_pinned(pin, key) => Verdict::Meant,
            Self::Pin(pin) => Verdict::OtherType(not_pinned(hop, pin, key)),
            Self::Lines { own, loose } => match judge_lines(hop, own, loose, key) {
                None => Verdict::Meant,
                Some(refused) => Verdict::Refused(refused),
            },
        }
    }
}

/// All types, those first of which one is known.
fn in_order(is_known: impl Fn(&str) -> bool) -> String {
    let (known, rest): (Vec<&str>, Vec<&str>) = TYPES.iter().partition(|group| is_known(group));
    [known, rest].concat().join(",")
}

/// Whether a key of this type, as files write it, belongs to a group of methods.
fn is_of(key_type: &str, group: &str) -> bool {
    let method = if key_type == "ssh-rsa" {
        "rsa-sha2-512"
    } else {
        key_type
    };
    group.split(',').any(|name| name == method)
}

fn not_pinned(hop: &Hop, pin: &str, key: &[u8]) -> LinkError {
    let seen = fingerprint(key);
    let why = format!(
        "none of its host keys has the fingerprint `{pin}` that the YAML pins; its {} key has {seen}",
        key_type(key)
    );
    let fix = "somebody else may answer in its place, so nothing was sent; if its keys were replaced, \
               correct host_key_sha256";
    LinkError::refused(&hop.spot(), why, fix)
}

/// Why a key is not the host's, if it is not.
fn judge_lines(hop: &Hop, own: &[Known], loose: &[Known], key: &[u8]) -> Option<LinkError> {
    let (text, seen, key_type) = (base64(key), fingerprint(key), key_type(key));
    let is = |kind: Kind| move |line: &&Known| line.kind == kind;
    let refused = |why: String, fix: String| Some(LinkError::refused(&hop.spot(), why, fix));
    let all = || own.iter().chain(loose);
    if let Some(line) = all()
        .filter(is(Kind::Revoked))
        .find(|line| line.key == text)
    {
        let why = format!("its {key_type} key {seen} is revoked in {}", line.place);
        let fix =
            "somebody else may answer in its place, so nothing was sent; ask whoever runs the host";
        return refused(why, fix.to_owned());
    }
    if all().filter(is(Kind::Trusted)).any(|line| line.key == text) {
        return None;
    }
    let ssh = how_to_ssh(hop);
    let mut trusted = own.iter().filter(is(Kind::Trusted));
    if let Some(line) = trusted
        .clone()
        .find(|line| line.key_type == key_type)
        .or_else(|| trusted.next())
    {
        let why = format!(
            "its host key has changed: it has the {key_type} key {seen}, which is not the {} key in {}",
            line.key_type, line.place
        );
        let fix = format!(
            "somebody else may answer in its place, so nothing was sent; if it was installed anew, remove the old key \
             with `ssh-keygen -R '{}'` and run `{ssh}` once",
            hop.key_name()
        );
        return refused(why, fix);
    }
    let pin =
        format!("pin `host_key_sha256: {seen}` in the YAML after comparing it with the host's own");
    if let Some(line) = all().find(is(Kind::Authority)) {
        let why = format!(
            "its key is known only by a certificate authority ({}), which ssh2 cannot check",
            line.place
        );
        let fix = format!("say `transport: system-ssh` for this node, or {pin}");
        return refused(why, fix);
    }
    let why = format!("its host key is not known: {key_type} {seen}");
    let fix =
        format!("run `{ssh}` once, or {pin} (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub there)");
    refused(why, fix)
}

/// The command by which a person gets to know the host.
fn how_to_ssh(hop: &Hop) -> String {
    let port = match hop.port {
        22 => String::new(),
        port => format!(" -p {port}"),
    };
    format!("ssh{port} {}", hop.alias)
}
