//! Moves, what they would bring and what came of them, in sentences.

use super::model::Estimate;
use super::moves::{Move, UNUSED, counted, plural};
use super::patch::Patch;
use super::prediction::Compared;
use super::text::clean_lines;
use super::what_if::Outcome;
use super::words::Pace;
use crate::base::clean;

/// What moves would bring, for people.
pub fn what_if_text(outcome: &Outcome) -> String {
    let lines = match outcome {
        Outcome::Refused { why } => vec![format!("refused: {why}")],
        Outcome::Bounded {
            most,
            why,
            patch: changes,
        } => {
            let most = most.map_or_else(
                || "what it would bring is not known".to_owned(),
                |most| {
                    format!(
                        "at most {most:.2}× as many questions an hour, and maybe no more than now"
                    )
                },
            );
            let mut lines = vec![format!("{most}: {why}")];
            lines.extend(patch(changes));
            lines
        }
        Outcome::Predicted {
            prediction,
            fullest,
        } => {
            let now = prediction.throughput;
            let pace = Pace::of(now);
            let mut lines = vec![format!(
                "{}: {} instead of {}",
                estimate(prediction.estimate),
                pace.questions(now * prediction.estimate.factor),
                pace.number(now)
            )];
            if let Some((name, share)) = fullest {
                lines.push(format!(
                    "  busiest then: {name}, at {:.0} % of the calls that it can run at once",
                    share * 100.0
                ));
            }
            lines.extend(patch(&prediction.patch));
            lines
        }
    };
    clean_lines(&lines)
}

/// A prediction beside what came of it, for people.
pub fn compared_text(compared: &Compared) -> String {
    let line = match compared {
        Compared::Otherwise { why } => {
            format!("the last prediction cannot be compared: {why}")
        }
        Compared::TooLittle { done } => format!(
            "the last prediction cannot be compared yet: {} finished in the steady time",
            counted(*done, "question")
        ),
        Compared::Measured {
            factor,
            predicted,
            within,
        } => format!(
            "measured {factor:.2}×, predicted {}: {} that interval",
            estimate(*predicted),
            if *within { "within" } else { "OUTSIDE" }
        ),
    };
    clean_lines(&[line])
}

/// Moves in words: `move 2 GPUs from coder to orchestrator`.
pub fn moves_text(moves: &[Move]) -> String {
    let moves: Vec<String> = moves.iter().map(said).collect();
    clean(&moves.join(", "))
}

/// A move in words.
pub(super) fn said(step: &Move) -> String {
    let (gpus, s) = (step.gpus, plural(step.gpus));
    if step.from == UNUSED {
        format!("give {gpus} unused GPU{s} to {}", step.to)
    } else {
        format!("move {gpus} GPU{s} from {} to {}", step.from, step.to)
    }
}

/// A factor with its interval.
pub(super) fn estimate(estimate: Estimate) -> String {
    let Estimate { factor, low, high } = estimate;
    format!("{factor:.2}× ({low:.2}–{high:.2})")
}

/// The changes of the YAML, a line each.
pub(super) fn patch(patch: &Patch) -> Vec<String> {
    let change = |change: &super::patch::Change| {
        format!("  {}: {} → {}", change.path, change.from, change.to)
    };
    let mut lines: Vec<String> = patch.changes.iter().map(change).collect();
    lines.extend(
        patch
            .by_hand
            .iter()
            .map(|by_hand| format!("  by hand: {by_hand}")),
    );
    lines
}
