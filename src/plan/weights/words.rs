//! What people are told when a hub refuses.

use std::path::PathBuf;

use super::Wanted;
use crate::facts::HubRefusal;

/// Where the token that was sent came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFrom {
    /// None was sent: nobody named one.
    Nowhere,
    /// None was sent: this variable has no value here.
    Unset(String),
    /// This variable.
    Variable(String),
    /// A file that `hf auth login` wrote.
    File(PathBuf),
}

impl TokenFrom {
    /// For messages: what was sent, and what was not.
    fn sent(&self) -> String {
        match self {
            Self::Nowhere => "no token was sent".to_owned(),
            Self::Unset(name) => format!("no token was sent, for `{name}` is not set"),
            Self::Variable(name) => format!("the token of `{name}` was sent"),
            Self::File(path) => format!("the token of `{}` was sent", path.display()),
        }
    }

    fn was_sent(&self) -> bool {
        matches!(self, Self::Variable(_) | Self::File(_))
    }

    /// How a token gets there.
    fn remedy(&self) -> String {
        match self {
            Self::Unset(name) => format!("set {name} to a token of that account"),
            _ => "name a token of that account: `hf: { token: { env: HF_TOKEN } }`".to_owned(),
        }
    }
}

/// The refusal of a hub, and what to do about it.
pub fn refused(wanted: &Wanted, refusal: &HubRefusal, endpoint: &str, token: &TokenFrom) -> String {
    let Wanted { repo, revision, .. } = wanted;
    let (whose, sent) = (wanted.whose(), token.sent());
    let page = format!("{endpoint}/{repo}");
    match refusal {
        HubRefusal::Gated(status) => {
            let then = if token.was_sent() {
                "with the account of that token, and wait until it is let in".to_owned()
            } else {
                format!("and {}", token.remedy())
            };
            format!(
                "`{repo}` ({whose}) is gated: {status}, {sent}\nhelp: accept its licence at {page} {then}"
            )
        }
        HubRefusal::Closed(status) => {
            let then = if token.was_sent() {
                "name it as the hub does, or use a token that may read it".to_owned()
            } else {
                format!(
                    "name it as the hub does; if it is private, {}",
                    token.remedy()
                )
            };
            format!(
                "`{repo}` ({whose}) is private or not at {endpoint}: {status}, {sent}\nhelp: {then}"
            )
        }
        HubRefusal::NoRepository => format!(
            "there is no repository `{repo}` ({whose}) at {endpoint}; {sent}\nhelp: name it as the hub does: {page} would show it"
        ),
        HubRefusal::NoRevision => format!(
            "`{repo}` ({whose}) has no revision `{revision}`\nhelp: name a branch, a tag or a whole commit of {page}/tree/main"
        ),
        HubRefusal::BadToken => format!(
            "{endpoint} does not know the token for `{repo}` ({whose}): {sent}\nhelp: make a new one at {endpoint}/settings/tokens"
        ),
        HubRefusal::Other(status, message) => {
            let message = if message.is_empty() {
                String::new()
            } else {
                format!(", `{message}`")
            };
            format!(
                "{endpoint} refuses `{repo}` ({whose}): {status}{message}\nhelp: {page} may say more"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::weights::{Load, RepoId};

    #[test]
    fn each_refusal_says_what_to_do() {
        let wanted = Wanted {
            repo: RepoId::parse("org/name").unwrap(),
            revision: "v1".to_owned(),
            hub: "/h/hub".into(),
            home: "/h".into(),
            load: Load::Auto,
            by_index: true,
            token: None,
            offline: false,
            models: vec![crate::base::Name::new("chat")],
            here: true,
            elsewhere: Vec::new(),
        };
        let tokens = [
            TokenFrom::Nowhere,
            TokenFrom::Unset("MINE".to_owned()),
            TokenFrom::File("/h/token".into()),
        ];
        let refusals = [
            HubRefusal::Gated(403),
            HubRefusal::Closed(401),
            HubRefusal::NoRepository,
            HubRefusal::NoRevision,
            HubRefusal::BadToken,
            HubRefusal::Other(451, "no".to_owned()),
        ];
        let mut all = String::new();
        for (at, refusal) in refusals.iter().enumerate() {
            for token in tokens.iter().take(if at < 2 { 3 } else { 1 }) {
                all += &refused(&wanted, refusal, "https://hub", token);
                all += "\n";
            }
        }
        insta::assert_snapshot!(all, @"
        `org/name` (model `chat`) is gated: 403, no token was sent
        help: accept its licence at https://hub/org/name and name a token of that account: `hf: { token: { env: HF_TOKEN } }`
        `org/name` (model `chat`) is gated: 403, no token was sent, for `MINE` is not set
        help: accept its licence at https://hub/org/name and set MINE to a token of that account
        `org/name` (model `chat`) is gated: 403, the token of `/h/token` was sent
        help: accept its licence at https://hub/org/name with the account of that token, and wait until it is let in
        `org/name` (model `chat`) is private or not at https://hub: 401, no token was sent
        help: name it as the hub does; if it is private, name a token of that account: `hf: { token: { env: HF_TOKEN } }`
        `org/name` (model `chat`) is private or not at https://hub: 401, no token was sent, for `MINE` is not set
        help: name it as the hub does; if it is private, set MINE to a token of that account
        `org/name` (model `chat`) is private or not at https://hub: 401, the token of `/h/token` was sent
        help: name it as the hub does, or use a token that may read it
        there is no repository `org/name` (model `chat`) at https://hub; no token was sent
        help: name it as the hub does: https://hub/org/name would show it
        `org/name` (model `chat`) has no revision `v1`
        help: name a branch, a tag or a whole commit of https://hub/org/name/tree/main
        https://hub does not know the token for `org/name` (model `chat`): no token was sent
        help: make a new one at https://hub/settings/tokens
        https://hub refuses `org/name` (model `chat`): 451, `no`
        help: https://hub/org/name may say more
        ");
    }
}
