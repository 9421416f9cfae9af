//! What is said of a judgement: the verdict, the advice with its patch, and what came of an earlier one.

use super::blocks::Block;
use super::model::Judgement;
use crate::base::clean;
use crate::report::verdict::{Sentences, compared_text};

/// The verdict, which stands before the tables.
pub(super) fn judgement(judged: &Judgement) -> Vec<Block> {
    let said = sentences(judged);
    let patch = judged.patch.as_ref();
    let patch = patch.map(|text| Block::Code(text.lines().map(clean).collect()));
    let mut all = part("what limits it", said.limit_lines());
    all.extend(part("what stands out", said.stands_out));
    all.extend(part("advice", said.advice));
    all.extend(patch);
    all.extend(part("time and cost", said.time_and_cost));
    all.extend(part(PREDICTED, predicted(judged)));
    all
}

/// The title over what came of an earlier report's advice.
pub(in crate::report) const PREDICTED: &str = "what was predicted";

/// Lines below their title; nothing without lines.
pub(in crate::report) fn part(title: &str, lines: Vec<String>) -> Vec<Block> {
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Block::Heading(title.to_owned()), Block::Lines(lines)]
}

/// What is said of it, with what stands beside the analysis: whose time it is in, what it does without, and how to check and to
/// follow the advice.
pub(in crate::report) fn sentences(judged: &Judgement) -> Sentences {
    let mut said = Sentences::of(&judged.analysis);
    let speed = judged.speed.map(|speed| {
        format!("all times are those of the cluster, {speed} hours of which took one here")
    });
    let doubts = judged.doubts.iter();
    said.notes.extend(speed);
    said.notes
        .extend(doubts.map(|why| format!("samples: {}", clean(why))));
    let command = judged.command.iter();
    said.advice
        .extend(command.map(|command| format!("  check with `{}`", clean(command))));
    said.advice.extend(patch_lines(judged));
    said
}

/// What an earlier report predicted of the change that was made since, and what came of it.
pub(in crate::report) fn predicted(judged: &Judgement) -> Vec<String> {
    let Some(followed) = &judged.followed else {
        return Vec::new();
    };
    let moves: Vec<String> = (followed.prediction.moves.iter())
        .map(|step| clean(&step.to_string()))
        .collect();
    let made = format!(
        "by the report of `{}`: {}",
        clean(&followed.run),
        moves.join(", ")
    );
    let said = compared_text(&followed.compared);
    std::iter::once(made)
        .chain(said.lines().map(str::to_owned))
        .collect()
}

fn patch_lines(judged: &Judgement) -> Option<String> {
    if let Some(why) = &judged.no_patch {
        return Some(format!("  not to be had as a patch: {}", clean(why)));
    }
    let file = clean(judged.patch_file.as_ref()?);
    let command = judged.patch_command.as_ref();
    let command = command.map(|command| format!(": `{}`", clean(command)));
    Some(format!(
        "  the same as a patch, kept beside this report as `{file}`{}",
        command.unwrap_or_default()
    ))
}
