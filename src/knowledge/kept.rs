//! Names of environment variables that every program of ours may see: the allow-list of unit scripts, and of the
//! command that hears of alarms.

use super::credentials::{is_credential, matches};

/// Patterns in the glob language of bash (`*` only); `templates/lib/begin.sh` has the same as `U_KEEP`.
pub const PATTERNS: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "PWD",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "SLURM_*",
    "CUDA_VISIBLE_DEVICES",
    "MODULE*",
    "LMOD_*",
    "LOADEDMODULES",
    "_LMFILES_",
    "KRB5CCNAME",
    "HF_HOME",
    "SSL_CERT_FILE",
];

/// May a program that was given nothing by name see this variable?
pub fn is_kept(name: &str) -> bool {
    !is_credential(name) && PATTERNS.iter().any(|pattern| matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_kept() {
        for name in ["HOME", "LC_ALL", "SLURM_JOB_ID", "MODULEPATH"] {
            assert!(is_kept(name), "{name}");
        }
        for name in [
            "SLURM_JWT",
            "OPENAI_API_KEY",
            "HTTPS_PROXY",
            "HOMES",
            "home",
        ] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
