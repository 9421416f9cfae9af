//! `toolorch known-host`: the line of a file of known hosts that a pinned fingerprint stands for, as `ssh` asks for it.
//!
//! ssh compares keys with its files, and a pin is the digest of one. ssh calls this with the key that a host gave it; the key
//! that has the digest is known, and any other is not.

use crate::base::ExitStatus;
use crate::cli::args::KnownHostArgs;
use crate::cli::printer::Printer;

pub(in crate::cli) fn run(
    args: &KnownHostArgs,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let line = line(args).unwrap_or_default();
    printer.data(&line).map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}

/// The line; none for another key, and none before a key is there, when ssh asks for types to prefer.
fn line(args: &KnownHostArgs) -> Option<String> {
    let digest = |text: &str| {
        text.trim_start_matches("SHA256:")
            .trim_end_matches('=')
            .to_owned()
    };
    let is_pinned = digest(&args.pin) == digest(&args.fingerprint);
    let KnownHostArgs {
        host,
        key_type,
        key,
        ..
    } = args;
    is_pinned.then(|| format!("{host} {key_type} {key}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_with_the_pinned_digest_is_known() {
        let asked = |pin: &str, fingerprint: &str| {
            line(&KnownHostArgs {
                pin: pin.to_owned(),
                fingerprint: fingerprint.to_owned(),
                host: "[gpu31]:2222".to_owned(),
                key_type: "ssh-ed25519".to_owned(),
                key: "AAAA".to_owned(),
            })
        };
        let known = Some("[gpu31]:2222 ssh-ed25519 AAAA\n".to_owned());
        assert_eq!(asked("SHA256:abc", "SHA256:abc"), known);
        assert_eq!(asked("abc=", "SHA256:abc"), known);
        assert_eq!(asked("SHA256:abc", "SHA256:abd"), None);
        assert_eq!(asked("SHA256:abc", "NONE"), None);
    }
}
