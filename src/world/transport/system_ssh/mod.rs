//! The system's `ssh`, one process per command over one shared connection: whatever `~/.ssh/config` can do,
//! Kerberos, FIDO keys, `ProxyCommand`, and logins with a second factor that a person made before.

mod client;
mod control;
mod words;

pub(super) use client::SystemSsh;
