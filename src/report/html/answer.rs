//! What a reader wants to know first, before anything else: what limits each evaluation, and what to change.

use super::parts::marked;
use crate::report::document::Report;
use crate::report::draw::escaped;
use crate::report::verdict::{Estimate, Headline, Tone, headline};

/// A card for each judged evaluation.
pub(super) fn cards(report: &Report) -> String {
    let named = report.evaluations.len() > 1;
    let cards = report.judgements.iter().map(|judged| {
        let name = named.then_some(judged.evaluation.as_str());
        card(name, &headline(&judged.analysis))
    });
    let cards: String = cards.collect();
    if cards.is_empty() {
        return cards;
    }
    format!("<div class=\"answers\">{cards}</div>")
}

fn card(name: Option<&str>, said: &Headline) -> String {
    let (tone, word) = match said.tone {
        Tone::Change => ("change", "Change this"),
        Tone::Try => ("try", "Try this"),
        Tone::Fine => ("fine", "Nothing to change"),
        Tone::Unknown => ("unknown", "No verdict"),
    };
    let name = name.map_or_else(String::new, |name| format!("{} · ", escaped(name)));
    let gain = said.gain.map_or_else(String::new, gain);
    format!(
        "<div class=\"answer {tone}\"><p class=\"kind\">{name}<b>{word}</b></p>{gain}<p class=\"limit\">{}</p><p class=\"do\">{}</p></div>",
        marked(&said.limit),
        marked(&said.change)
    )
}

fn gain(gain: Estimate) -> String {
    let Estimate { factor, low, high } = gain;
    format!(
        "<p class=\"gain\"><b>{factor:.2}×</b> <span>as many questions an hour, likely {low:.2} to {high:.2} times</span></p>"
    )
}
