//! Arguments of `toolorch what-if`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::report::verdict::{InvalidMove, Move};

/// How a prediction is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WhatIfFormat {
    /// Sentences.
    Text,
    /// JSON, by evaluation.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct WhatIfArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    file: Option<PathBuf>,
    /// How many GPUs go, from where and to where: `2 coder:orchestrator`, in one word or two; those that no model has are
    /// `unused`. Of several all are made.
    #[arg(long = "move", value_names = ["N", "FROM:TO"], num_args = 1..=2, required = true)]
    moves: Vec<String>,
    /// Of this evaluation alone.
    #[arg(long, value_name = "NAME")]
    pub(super) eval: Option<String>,
    /// How it is shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: WhatIfFormat,
}

impl WhatIfArgs {
    /// Of which run, if one is named, and which moves. What stands behind a whole move is no part of it, but the run.
    pub(super) fn asked(&self) -> Result<(Option<&Path>, Vec<Move>), String> {
        let mut file = self.file.as_deref();
        let mut moves: Vec<Move> = Vec::new();
        let mut words = self.moves.iter();
        while let Some(word) = words.next() {
            let is_count = word.trim_end_matches(['x', '×']).parse::<usize>().is_ok();
            let whole = match words.as_slice().first() {
                Some(next) if is_count => {
                    words.next();
                    format!("{word} {next}")
                }
                _ => word.clone(),
            };
            match whole.parse() {
                Ok(step) => moves.push(step),
                Err(_) if !moves.is_empty() && !is_count && file.is_none() => {
                    file = Some(Path::new(word));
                }
                Err(why) => return Err(said(&why)),
            }
        }
        Ok((file, moves))
    }
}

fn said(why: &InvalidMove) -> String {
    format!("error: --move: {why}")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        args: WhatIfArgs,
    }

    fn asked(line: &str) -> String {
        let words = std::iter::once("what-if".to_owned());
        let words = words.chain(shlex::split(line).unwrap());
        let args = match Only::try_parse_from(words) {
            Ok(only) => only.args,
            Err(error) => return error.kind().to_string(),
        };
        args.asked().map_or_else(
            |why| why,
            |(file, moves)| {
                let file = file.map_or("-".into(), Path::to_string_lossy);
                let moves: Vec<String> = moves.iter().map(ToString::to_string).collect();
                format!("{file}: {}", moves.join(", "))
            },
        )
    }

    #[test]
    fn a_move_is_one_word_or_two_before_and_behind_the_run() {
        Only::command().debug_assert();
        let lines = [
            "--move 2 expert:orchestrator",
            "--move '2 expert:orchestrator'",
            "--move 2xexpert:orchestrator",
            "run-1 --move 2 expert:orchestrator",
            "--move 2 expert:orchestrator run-1",
            "run-1 --move '2 expert:orchestrator'",
            "--move '2 expert:orchestrator' run-1",
            "--move='2 expert:orchestrator' --eval hle run-1",
            "--move 2 a:b --move 1 c:b run-1",
            "--move '2 a:b' --move '1 c:b' run-1",
            "--move 2 a:b c/luster.yaml --format json",
        ];
        let said: Vec<String> = lines.iter().map(|line| asked(line)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        -: 2 expert:orchestrator
        -: 2 expert:orchestrator
        -: 2 expert:orchestrator
        run-1: 2 expert:orchestrator
        run-1: 2 expert:orchestrator
        run-1: 2 expert:orchestrator
        run-1: 2 expert:orchestrator
        run-1: 2 expert:orchestrator
        run-1: 2 a:b, 1 c:b
        run-1: 2 a:b, 1 c:b
        c/luster.yaml: 2 a:b
        ");
    }

    #[test]
    fn what_is_no_move_says_how_to_write_one() {
        let lines = [
            "run-1",
            "--move expert",
            "--move 2",
            "--move 2 run-1",
            "--move '2 a:b' one two",
            "--move '2 a:b' one --eval e two",
        ];
        let said: Vec<String> = lines.iter().map(|line| asked(line)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        one or more required arguments were not provided
        error: --move: `expert` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`
        error: --move: `2` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`
        error: --move: `2 run-1` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`
        error: --move: `one` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`
        error: --move: `one` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`
        ");
    }
}
