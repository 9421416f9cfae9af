//! From a path to the text that `toolorch sim fit` prints.

use std::path::PathBuf;

use super::durations::{self, Load};
use super::estimate::Prior;
use super::model::{self, Fitted};
use super::read::{Found, read};
use super::report;

/// How parameters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `sim:` blocks with comments.
    Yaml,
    /// Versioned JSON.
    Json,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// A capture, a call log, or results.
    pub path: PathBuf,
    /// Only this model.
    pub model: Option<String>,
    /// How it is shown.
    pub shape: Shape,
    /// Requests under way at once, where calls do not say it.
    pub concurrency: Option<u32>,
    /// Servers, where calls do not say it.
    pub replicas: Option<u32>,
    /// What is assumed where nothing is seen: `KEY=VALUE`.
    pub prior: Vec<String>,
    /// How fast the time of captured servers ran.
    pub speed: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What to print.
    pub text: String,
    /// Models of which nothing could be said: their names, and why.
    pub left_out: Vec<(String, String)>,
}

/// Fits what is at the path.
///
/// # Errors
/// What is wrong where, and what to do.
pub fn fit(wish: &Wish) -> Result<Outcome, String> {
    let mut prior = Prior::default();
    for text in &wish.prior {
        prior.set(text).map_err(|why| format!("`--prior`: {why}"))?;
    }
    let load = Load {
        concurrency: wish.concurrency,
        replicas: wish.replicas,
    };
    let all: Vec<(String, Result<Fitted, String>)> = match read(&wish.path, wish.speed)? {
        Found::Capture(models) => models
            .into_iter()
            .map(|(name, series)| (name, model::fit(&series, &prior)))
            .collect(),
        Found::Calls(models) => models
            .into_iter()
            .map(|(name, calls)| (name, durations::fit(&calls, load, &prior)))
            .collect(),
    };
    choose(wish, all)
}

fn choose(wish: &Wish, all: Vec<(String, Result<Fitted, String>)>) -> Result<Outcome, String> {
    let place = wish.path.display();
    if let Some(wanted) = &wish.model
        && !all.iter().any(|(name, _)| name == wanted)
    {
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!(
            "`{place}` says nothing of `{wanted}`, only of `{}`",
            names.join("`, `")
        ));
    }
    let mut fitted = Vec::new();
    let mut left_out = Vec::new();
    let wanted = |name: &String| wish.model.as_ref().is_none_or(|wanted| wanted == name);
    for (name, one) in all.into_iter().filter(|(name, _)| wanted(name)) {
        match one {
            Ok(one) => fitted.push((name, one)),
            Err(why) => left_out.push((name, why)),
        }
    }
    if fitted.is_empty() {
        let whys: Vec<String> = left_out
            .iter()
            .map(|(name, why)| format!("`{name}`: {why}"))
            .collect();
        let whys = if whys.is_empty() {
            "no look has a model's counters: are they those of vLLM?".to_owned()
        } else {
            whys.join("\n")
        };
        return Err(format!("nothing of `{place}` can be fitted: {whys}"));
    }
    let text = match wish.shape {
        Shape::Yaml => report::yaml(&fitted),
        Shape::Json => report::json(&fitted),
    };
    Ok(Outcome { text, left_out })
}
