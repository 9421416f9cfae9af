//! Captures of `/metrics`: `CAPTURE/UNIT/MILLISECONDS.prom`, each file one answer as the server gave it, named after the
//! time at which it was asked, in milliseconds since 1970.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

/// What the names of looks end with.
pub(super) const SUFFIX: &str = ".prom";
/// A server that is busy still answers by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The folder's name.
    pub unit: String,
    /// Where `/metrics` is.
    pub url: String,
}

impl Target {
    /// The target that a user names by its URL: `host:8000`, `http://host:8000` or `http://host:8000/metrics`.
    pub fn of_url(text: &str) -> Self {
        let text = text.trim_end_matches('/');
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = if url.ends_with("/metrics") {
            url
        } else {
            format!("{}/metrics", url.trim_end_matches("/v1"))
        };
        let place = url.split("://").nth(1).unwrap_or(&url);
        let unit = place.trim_end_matches("/metrics");
        let word = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        let unit = unit.chars().map(word).collect();
        Self { unit, url }
    }
}

/// Looks at servers and keeps what they say.
#[derive(Debug)]
pub struct Capture {
    client: reqwest::Client,
    targets: Vec<Target>,
    folder: PathBuf,
}

/// A real answer has some 40 KB.
const LARGEST: usize = 16 << 20;

impl Capture {
    /// A capture of these servers into `folder`.
    ///
    /// # Errors
    /// The HTTP client does not start.
    pub fn new(targets: Vec<Target>, folder: &Path) -> Result<Self, String> {
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Ok(Self {
            client: builder.build().map_err(|error| error.to_string())?,
            targets,
            folder: folder.to_owned(),
        })
    }

    /// Looks at all servers once; for each the reason why there is nothing of it, or none.
    ///
    /// # Errors
    /// A file cannot be written.
    pub async fn look(&self) -> io::Result<Vec<(&Target, Option<String>)>> {
        let asked = self.targets.iter().map(|target| self.ask(target));
        let answers = join_all(asked).await;
        let mut all = Vec::new();
        for (target, answer) in self.targets.iter().zip(answers) {
            let why = match answer {
                Ok((at, text)) => {
                    self.keep(target, at, &text)?;
                    None
                }
                Err(why) => Some(why),
            };
            all.push((target, why));
        }
        Ok(all)
    }

    /// The text, and the middle of the time that it took.
    async fn ask(&self, target: &Target) -> Result<(i64, String), String> {
        let began = jiff::Timestamp::now().as_millisecond();
        let mut response = self.client.get(&target.url).send().await.map_err(words)?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it answers {status}"));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(words)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LARGEST {
                return Err("it answers more than 16 MiB".to_owned());
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let ended = jiff::Timestamp::now().as_millisecond();
        Ok((began.midpoint(ended), text))
    }

    /// Whoever reads meanwhile sees whole files.
    fn keep(&self, target: &Target, at: i64, text: &str) -> io::Result<()> {
        let folder = self.folder.join(&target.unit);
        fs::create_dir_all(&folder)?;
        let part = folder.join(format!("{at}.part"));
        fs::write(&part, text)?;
        fs::rename(part, folder.join(format!("{at}{SUFFIX}")))
    }
}

/// Why a request failed: the innermost reason, which names the system's own.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named_as_people_name_servers() {
        for text in [
            "n1:8000",
            "http://n1:8000",
            "http://n1:8000/v1",
            "http://n1:8000/metrics/",
        ] {
            let target = Target::of_url(text);
            assert_eq!(target.url, "http://n1:8000/metrics", "{text}");
            assert_eq!(target.unit, "n1-8000");
        }
        assert_eq!(Target::of_url("https://[::1]:1/a").unit, "---1--1-a");
    }
}
