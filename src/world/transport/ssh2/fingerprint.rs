//! How people compare keys.

use sha2::{Digest as _, Sha256};

use crate::base::base64;

/// `SHA256:…` of a key, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", base64(&Sha256::digest(key)))
}

/// Whether a pinned fingerprint is that of a key.
pub(super) fn is_pinned(pin: &str, key: &[u8]) -> bool {
    let bare = |text: &str| {
        let text = text.trim();
        text.strip_prefix("SHA256:")
            .unwrap_or(text)
            .trim_end_matches('=')
            .to_owned()
    };
    bare(pin) == bare(&fingerprint(key))
}

/// The type that a key's bytes name: `ssh-ed25519`.
pub(super) fn key_type(key: &[u8]) -> String {
    let length = key
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize);
    let name = key.get(4..).and_then(|rest| rest.get(..length));
    String::from_utf8_lossy(name.unwrap_or(b"unknown")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_may_leave_out_what_is_always_the_same() {
        let key = b"key";
        let print = fingerprint(key);
        assert_eq!(print, "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM");
        for pin in [
            print.clone(),
            print.replace("SHA256:", ""),
            format!(" {print}= "),
        ] {
            assert!(is_pinned(&pin, key), "{pin}");
        }
        assert!(!is_pinned(&print, b"other"));
        assert!(!is_pinned("", key));
    }

    #[test]
    fn a_key_names_its_type() {
        assert_eq!(key_type(b"\0\0\0\x0bssh-ed25519rest"), "ssh-ed25519");
        assert_eq!(key_type(b"\0\0\xff"), "unknown");
        assert_eq!(key_type(b"\0\0\0\x0bshort"), "unknown");
    }
}
