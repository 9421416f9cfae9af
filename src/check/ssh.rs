//! What the YAML says of ssh connections: fingerprints that are some, keys that are here.

use std::collections::BTreeMap;

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::plan::ask::ssh_keys;

use super::Ctx;
use super::here::{is_absent, listed};

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    report.extend(ctx.spec.nodes.iter().filter_map(|(name, node)| {
        let pin = node.ssh.as_ref()?.host_key_sha256.as_deref()?;
        let path = FieldPath::root().key("nodes").key(name.as_str()).key("ssh");
        (!is_fingerprint(pin)).then(|| no_fingerprint(pin, &path))
    }));
    report.extend(absent_keys(ctx));
}

/// What `ssh-keygen -l` prints, with or without its `SHA256:`: 32 bytes in base64.
fn is_fingerprint(pin: &str) -> bool {
    let pin = pin.trim();
    let bare = pin.strip_prefix("SHA256:").unwrap_or(pin);
    let bare = bare.trim_end_matches('=');
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    bare.len() == 43 && bare.chars().all(letter)
}

fn no_fingerprint(pin: &str, path: &FieldPath) -> Diagnostic {
    let label = if pin.trim().starts_with("MD5:") || pin.matches(':').count() > 10 {
        "that is the fingerprint by MD5"
    } else {
        "no host key has this fingerprint"
    };
    Diagnostic::error(
        Code("E0334"),
        "a pinned fingerprint is 43 letters and digits after `SHA256:`",
    )
    .at(Place::Value(path.key("host_key_sha256")), label)
    .help("`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on that machine prints it")
}

fn absent_keys(ctx: &Ctx<'_>) -> Option<Diagnostic> {
    let home = ctx.facts.home.get().map(String::as_str);
    let keys = ssh_keys(ctx.spec, home).into_iter();
    let absent: BTreeMap<String, FieldPath> = keys
        .filter(|(file, _)| is_absent(ctx, file))
        .map(|(file, path)| (file, path.key("identity")))
        .collect();
    if absent.is_empty() {
        return None;
    }
    let names = absent.keys().map(String::as_str).collect();
    let finding = Diagnostic::note(
        Code("N0520"),
        format!("not proved here: there is no key {}", listed(names)),
    )
    .help("`up` here could not log in with it: write it there, or name the one that is meant");
    Some(absent.into_values().fold(finding, |finding, place| {
        finding.at(Place::Value(place), "no such file")
    }))
}
