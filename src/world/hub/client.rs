//! Requests to a hub. The token goes to the hub alone: never to where it redirects, never into a text.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::HubError;
use crate::base::Millis;
use crate::facts::{HubRefusal, Listing, RepoFile};
use crate::plan::weights::{RepoId, TokenFrom};
use crate::run::store::read_regular_text;
use crate::world::lasts;

/// Where models are, unless `HF_ENDPOINT` says otherwise.
const USUAL: &str = "https://huggingface.co";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// A question is asked so often.
const ASKED: u32 = 3;
/// The pause before the second time; twice as long before each further one.
const PAUSE: Millis = Millis(500);
/// The longest pause that a hub may ask for.
const LONGEST: Millis = Millis::from_secs(60);
/// The largest text that is read into memory: an index names each tensor of a model.
const TEXT: u64 = 256 << 20;

/// A hub, and who asks it.
#[derive(Clone)]
pub struct Hub {
    http: reqwest::Client,
    endpoint: String,
    shown: String,
    token: Option<HeaderValue>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({})", self.shown)
    }
}

/// The hub's address, without a slash at its end.
pub fn endpoint() -> String {
    let told = std::env::var("HF_ENDPOINT").unwrap_or_default();
    let told = told.trim_end_matches('/');
    if told.is_empty() { USUAL } else { told }.to_owned()
}

/// The token for a cache: the variable that the YAML names, else what `hf auth login` wrote below `HF_HOME`.
pub fn token_of(variable: Option<&str>, home: &Path) -> (TokenFrom, Option<String>) {
    let value = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(name) = variable {
        return match std::env::var(name).ok().and_then(value) {
            Some(token) => (TokenFrom::Variable(name.to_owned()), Some(token)),
            None => (TokenFrom::Unset(name.to_owned()), None),
        };
    }
    let file = home.join("token");
    match read_regular_text(&file).ok().and_then(value) {
        Some(token) => (TokenFrom::File(file), Some(token)),
        None => (TokenFrom::Nowhere, None),
    }
}

impl Hub {
    /// A client of this hub.
    ///
    /// # Errors
    /// The address or the token is none, or the machine's certificates cannot be read.
    pub fn new(endpoint: &str, token: Option<&str>) -> Result<Self, HubError> {
        let strange = |why: String| HubError::Strange {
            endpoint: without_password(endpoint),
            why,
        };
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| strange("the token is no text for a request".to_owned()))?;
            value.set_sensitive(true);
            Ok::<_, HubError>(value)
        });
        let http = reqwest::Client::builder()
            .user_agent(concat!("toolorch/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| strange(root(error)))?;
        Ok(Self {
            http,
            endpoint: endpoint.to_owned(),
            shown: without_password(endpoint),
            token: token.transpose()?,
        })
    }

    /// Its address for messages, without a password that may stand in it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The files of a revision.
    ///
    /// # Errors
    /// It refuses, is silent, or answers something else.
    pub async fn listing(&self, repo: &RepoId, revision: &str) -> Result<Listing, HubError> {
        let revision = escaped(&revision.replace('/', "%2F"), "/%");
        let url = format!(
            "{}/api/models/{repo}/revision/{revision}?blobs=true",
            self.endpoint
        );
        let text = self.text(&url).await?;
        Listing::of_hub(&text).map_err(|why| self.strange(why))
    }

    /// Whether the files of a gated repository may be read: its list may be read by all.
    ///
    /// # Errors
    /// It refuses or is silent.
    pub async fn may_read(&self, repo: &RepoId) -> Result<(), HubError> {
        let url = format!("{}/api/models/{repo}/auth-check", self.endpoint);
        match self.ask(&url).await {
            // A mirror may not know the question; then the first file tells.
            Err(HubError::Refused(HubRefusal::NoRepository | HubRefusal::Other(..))) => Ok(()),
            Err(HubError::Refused(HubRefusal::Closed(status))) => {
                Err(HubError::Refused(HubRefusal::Gated(status)))
            }
            answer => answer.map(|_| ()),
        }
    }

    /// The text of a file of a commit.
    ///
    /// # Errors
    /// As [`Hub::listing`].
    pub async fn read(
        &self,
        repo: &RepoId,
        commit: &str,
        file: &RepoFile,
    ) -> Result<String, HubError> {
        if file.size > TEXT {
            let size = crate::base::bytes(file.size);
            return Err(self.strange(format!("`{}` has {size}", file.path)));
        }
        self.text(&self.place(repo, commit, file)).await
    }

    /// Opens a file of a commit from a byte on; one that answers 200 begins at the first one all the same.
    pub(super) async fn open(
        &self,
        repo: &RepoId,
        commit: &str,
        file: &RepoFile,
        from: u64,
    ) -> Result<Response, Failure> {
        let mut headers = self.headers();
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-"))
            && from > 0
        {
            headers.insert(RANGE, range);
        }
        self.once(&self.place(repo, commit, file), headers).await
    }

    /// The error for a connection that broke off again and again.
    pub(super) fn silent(&self, why: String) -> HubError {
        HubError::Silent {
            endpoint: self.shown.clone(),
            why,
        }
    }

    fn strange(&self, why: String) -> HubError {
        HubError::Strange {
            endpoint: self.shown.clone(),
            why,
        }
    }

    fn place(&self, repo: &RepoId, commit: &str, file: &RepoFile) -> String {
        let path = escaped(&file.path, "/");
        format!("{}/{repo}/resolve/{commit}/{path}", self.endpoint)
    }

    fn headers(&self) -> HeaderMap {
        // Where a redirect leads to another host or port, reqwest leaves this header out.
        let token = self
            .token
            .iter()
            .map(|token| (AUTHORIZATION, token.clone()));
        token.collect()
    }

    async fn text(&self, url: &str) -> Result<String, HubError> {
        let mut tried = 0;
        loop {
            match self.ask(url).await?.text().await {
                Ok(text) => return Ok(text),
                Err(_) if tried < ASKED => tried += 1,
                Err(error) => return Err(self.silent(root(error))),
            }
        }
    }

    async fn ask(&self, url: &str) -> Result<Response, HubError> {
        let mut tried = 0;
        loop {
            match self.once(url, self.headers()).await {
                Ok(response) => return Ok(response),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { why, pause }) => {
                    tried += 1;
                    if tried >= ASKED {
                        return Err(self.silent(why));
                    }
                    rest(tried, pause).await;
                }
            }
        }
    }

    async fn once(&self, url: &str, headers: HeaderMap) -> Result<Response, Failure> {
        let sent = self.http.get(url).headers(headers).send().await;
        let response = sent.map_err(|error| Failure::passing(root(error)))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(response);
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let refusal = HubRefusal::of(
            status.as_u16(),
            header("x-error-code"),
            header("x-error-message"),
        );
        Err(match refusal {
            Some(refusal) => Failure::Final(HubError::Refused(refusal)),
            None => Failure::Passing {
                why: format!("it answers {status}"),
                pause: header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()),
            },
        })
    }
}

/// Why one request brought nothing.
pub(super) enum Failure {
    /// The next one may bring it.
    Passing {
        /// The reason, for people.
        why: String,
        /// The seconds that the hub asks for.
        pause: Option<u64>,
    },
    /// No further one will.
    Final(HubError),
}

impl Failure {
    pub(super) fn passing(why: String) -> Self {
        Self::Passing { why, pause: None }
    }
}

/// The pause after a request that failed for the n-th time in a row.
pub(super) async fn rest(tried: u32, asked: Option<u64>) {
    let own = Millis(PAUSE.0 << (tried.clamp(1, 8) - 1));
    let pause = asked.map_or(own, |seconds| Millis::from_secs(seconds).min(LONGEST));
    tokio::time::sleep(lasts(pause.max(own))).await;
}

/// The innermost reason of an error: the outer ones repeat the address, which may hold somebody's signature.
pub(super) fn root(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    crate::base::clean(&inner.to_string())
}

fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let from = rest[..host].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[from..])
}

/// A path as a part of a URL; `kept` characters stay, and those that never need it.
fn escaped(path: &str, kept: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-_.~".contains(c) || (c.is_ascii() && kept.contains(c))
        {
            out.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_urls() {
        assert_eq!(escaped("a b/ü#?.txt", "/"), "a%20b/%C3%BC%23%3F.txt");
        assert_eq!(
            escaped(&"refs/pr/1".replace('/', "%2F"), "/%"),
            "refs%2Fpr%2F1"
        );
    }

    #[test]
    fn a_mirror_s_password_is_not_shown() {
        for (url, shown) in [
            ("https://huggingface.co", "https://huggingface.co"),
            (
                "http://me:secret@mirror:8080/hf@x",
                "http://mirror:8080/hf@x",
            ),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn no_text_shows_the_token() {
        let hub = Hub::new("http://127.0.0.1:9", Some("hf_0123456789abcdef")).unwrap();
        assert!(!format!("{hub:?}").contains("0123456789"), "{hub:?}");
        let error = Hub::new("http://127.0.0.1:9", Some("hf_01234\n56789")).unwrap_err();
        assert!(!error.to_string().contains("56789"), "{error}");
    }
}
