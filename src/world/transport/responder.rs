//! A person who answers what a host asks at the login.

/// Answers what a host asks at the login: a password, a code of a second factor.
pub trait Responder: Send + Sync {
    /// The answers, one for each prompt; none if nobody answers. The login waits for it, two minutes at most.
    fn respond(&self, question: &Question) -> Option<Vec<String>>;
}

/// What a host asks at the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The host, as the YAML or a jump names it.
    pub host: String,
    /// The user who logs in.
    pub user: String,
    /// What it says beside its prompts; often nothing.
    pub instructions: String,
    /// Its prompts, each with whether the answer may be seen.
    pub prompts: Vec<(String, bool)>,
}
