//! A report for a terminal.

use super::blocks::{Block, blocks, narrow};
use super::model::Report;
use crate::report::summary::table;

/// The report as plain text: tables in aligned columns.
pub fn report_text(report: &Report) -> String {
    of(&blocks(report))
}

pub(super) fn of(blocks: &[Block]) -> String {
    let mut text = String::new();
    for (index, block) in blocks.iter().enumerate() {
        // What stands under a title follows it at once.
        if index > 0 && matches!(block, Block::Title(_) | Block::Heading(_)) {
            text.push('\n');
        }
        match block {
            Block::Title(line) | Block::Heading(line) => {
                text.push_str(line);
                text.push('\n');
            }
            Block::Lines(lines) => {
                for line in lines {
                    text.push_str("  ");
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Block::Code(lines) => {
                // `patch` takes one that is moved in as a whole.
                for line in lines {
                    text.push_str("    ");
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Block::Table { left, rows } => text.push_str(&table(&narrow(rows), *left)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::Timestamp;
    use crate::eval::{Answer, Names, Written};
    use crate::report::tables::{Found, Whose, evaluation};
    use crate::report::verdict::{Compared, Estimate, Evidence, Move, Patch, Prediction, analyse};
    use crate::report::{Followed, Judgement, Subject};

    fn run(ended: Option<u8>, until: Option<&str>) -> Report {
        Report {
            subject: Subject::Run {
                run: "hle-oss-1-0000".to_owned(),
                cluster: "hle-oss".to_owned(),
                ended,
                until: until.map(str::to_owned),
            },
            happened: None,
            evaluations: Vec::new(),
            judgements: Vec::new(),
        }
    }

    #[test]
    fn a_run_says_how_far_it_is() {
        let at = Some("2025-12-31T23:59:59.000Z");
        let all = [
            run(None, at),
            run(Some(0), at),
            run(Some(5), at),
            run(None, None),
        ];
        let all: Vec<String> = all.iter().map(report_text).collect();
        insta::assert_snapshot!(all.concat(), @r"
        run `hle-oss-1-0000` of `hle-oss`: goes on, as of 2025-12-31T23:59:59.000Z
          it has no evaluation
        run `hle-oss-1-0000` of `hle-oss`: ended, as of 2025-12-31T23:59:59.000Z
          it has no evaluation
        run `hle-oss-1-0000` of `hle-oss`: ended with exit code 5, as of 2025-12-31T23:59:59.000Z
          it has no evaluation
        run `hle-oss-1-0000` of `hle-oss`: its journal cannot be read
          it has no evaluation
        ");
    }

    /// A hundred searches, one a minute, of which the first half took long.
    fn searches(correct: Option<bool>) -> Found {
        let mut names = Names::default();
        let written = (0..100).map(|n: u64| {
            let ms = if n < 50 { 8_000 } else { 200 };
            let verdict = correct.map_or(String::new(), |right| format!("\"correct\": {right}, "));
            let text = format!(
                "{{{verdict}\"all_tool_responses\": {{\"turn_0_response\": [{{\"tool\": \"search\", \"model\": \"G\", \"_query_llm_ms\": {ms}, \"_retrieval_ms\": {ms}}}]}}}}"
            );
            Written {
                id: n.to_string(),
                at: Some(Timestamp(60_000 * n)),
                answer: Answer::read(text.as_bytes(), &[], &mut names),
            }
        });
        Found {
            name: "hle".to_owned(),
            place: "/out/hle".to_owned(),
            expected: None,
            written: written.collect(),
            logged: None,
            orchestrator: None,
            server_times: Vec::new(),
            whose: Whose::Run,
            changed: None,
        }
    }

    #[test]
    fn a_slow_beginning_stands_in_words_and_in_parts() {
        let report = Report {
            evaluations: vec![evaluation(searches(None))],
            ..run(None, Some("2025-12-31T23:59:59.000Z"))
        };
        insta::assert_snapshot!(report_text(&report), @r"
        run `hle-oss-1-0000` of `hle-oss`: goes on, as of 2025-12-31T23:59:59.000Z

        evaluation `hle`, results in `/out/hle`
          no result says whether it is right
          100 results, 0 in error

        tools, end to end, in seconds
        tool    count  mean   std   min    max   P50    P90    P99     <5s  used/all  left out
        search    100  8.20  7.80  0.40  16.00  8.20  16.00  16.00  50.0 %   100/100

        models of tools, in seconds
        tool    model  count  mean   std   min   max   P50   P90   P99     <5s  used/all  left out
        search  G        100  4.10  3.90  0.20  8.00  4.10  8.00  8.00  50.0 %   100/100

        the same in parts, in seconds
        of      by      part    count   mean    P50    P90    P99
        search  window  cold       40  16.00  16.00  16.00  16.00
        search  window  steady     60   3.00   0.40  16.00  16.00

        slow beginnings
          search: 40m 00s long, 40 calls (40.0 %): median 16.00 s, and 0.40 s at the end

        what cannot be said
          how long the orchestrator took: no result tells of its calls, and there is no log of them
          which questions are missing: the evaluation has no dataset, or it cannot be read
        ");
    }

    #[test]
    fn nothing_at_all_is_said_to_be_nothing() {
        let found = Found {
            written: Vec::new(),
            ..searches(Some(true))
        };
        let report = Report {
            evaluations: vec![evaluation(found)],
            ..run(None, Some("2025-12-31T23:59:59.000Z"))
        };
        insta::assert_snapshot!(report_text(&report), @r"
        run `hle-oss-1-0000` of `hle-oss`: goes on, as of 2025-12-31T23:59:59.000Z

        evaluation `hle`, results in `/out/hle`
          no result says whether it is right
          0 results, 0 in error

        what cannot be said
          how long the orchestrator took: no result tells of its calls, and there is no log of them
          how long tools took: no result tells of a call
          which questions are missing: the evaluation has no dataset, or it cannot be read
        ");
    }

    #[test]
    fn the_patch_stands_under_the_advice_or_why_there_is_none() {
        let judged = |patch: Option<&str>, no_patch: Option<&str>| Judgement {
            evaluation: "hle".to_owned(),
            speed: None,
            doubts: Vec::new(),
            analysis: analyse(&Evidence::default()),
            command: Some("toolorch what-if hle-oss-1-0000 --move 2 coder:orchestrator".to_owned()),
            patch: patch.map(str::to_owned),
            patch_file: patch.map(|_| "advice.patch".to_owned()),
            patch_command: patch
                .map(|_| "patch '/w/my c/x.yaml' < /w/report/advice.patch".to_owned()),
            no_patch: no_patch.map(str::to_owned),
            followed: None,
        };
        let made = judged(Some("--- ./x\n+++ ./x\n@@ -1,1 +1,1 @@\n-a\n+b\n"), None);
        let not = judged(
            None,
            Some("`x.yaml`: other values hang on what would change"),
        );
        let text = |judged: &Judgement| {
            let blocks: Vec<Block> = super::super::judged::judgement(judged)
                .into_iter()
                .skip_while(|block| !matches!(block, Block::Heading(title) if title == "advice"))
                .take(3)
                .collect();
            of(&blocks)
        };
        insta::assert_snapshot!(text(&made) + "\n" + &text(&not), @r"
        advice
          no move of GPUs is advised, because it is not known whether more replicas would help
            check with `toolorch what-if hle-oss-1-0000 --move 2 coder:orchestrator`
            the same as a patch, kept beside this report as `advice.patch`: `patch '/w/my c/x.yaml' < /w/report/advice.patch`
            --- ./x
            +++ ./x
            @@ -1,1 +1,1 @@
            -a
            +b

        advice
          no move of GPUs is advised, because it is not known whether more replicas would help
            check with `toolorch what-if hle-oss-1-0000 --move 2 coder:orchestrator`
            not to be had as a patch: `x.yaml`: other values hang on what would change

        time and cost
        ");
    }

    #[test]
    fn what_was_predicted_stands_beside_what_came_of_it() {
        let estimate = Estimate {
            factor: 1.5,
            low: 1.3,
            high: 1.7,
        };
        let step: Move = "2 coder:orchestrator".parse().unwrap();
        let prediction = Prediction {
            version: 1,
            at: Timestamp(0),
            moves: vec![step],
            patch: Patch::default(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            concurrency: Some(64),
            questions: 400,
            throughput: 0.2,
            estimate,
        };
        let compared = Compared::Measured {
            factor: 1.46,
            predicted: estimate,
            within: true,
        };
        let report = Report {
            evaluations: vec![evaluation(Found {
                written: Vec::new(),
                ..searches(Some(true))
            })],
            judgements: vec![Judgement {
                evaluation: "hle".to_owned(),
                speed: Some(60.0),
                doubts: vec!["samples.1.jsonl.gz: `\u{1b}[31m`".to_owned()],
                analysis: analyse(&Evidence::default()),
                command: None,
                patch: None,
                patch_file: None,
                patch_command: None,
                no_patch: None,
                followed: Some(Followed {
                    run: "hle-oss-3-00ff".to_owned(),
                    prediction,
                    compared,
                }),
            }],
            ..run(None, Some("2025-12-31T23:59:59.000Z"))
        };
        let text = report_text(&report);
        let (_, said) = text.split_once("0 in error\n").unwrap();
        let (said, _) = said.split_once("\nwhat cannot be said").unwrap();
        insta::assert_snapshot!(said, @r#"
        what limits it
          limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
          all times are those of the cluster, 60 hours of which took one here
          samples: samples.1.jsonl.gz: ``

        advice
          no move of GPUs is advised, because it is not known whether more replicas would help

        time and cost
          time left: not known, because how many questions there are is not known

        what was predicted
          by the report of `hle-oss-3-00ff`: 2 coder:orchestrator
          measured 1.46×, predicted 1.50× (1.30–1.70): within that interval
        "#);
    }
}
