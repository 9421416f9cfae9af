//! The verdict for people.

use std::fmt::Write as _;

use super::evidence::Evidence;
use super::findings::{Proof, findings};
use super::prediction::predict;

/// The verdict for people.
pub fn verdict_text(evidence: &Evidence) -> String {
    let mut text = String::from("what was proved\n");
    for found in findings(evidence) {
        let word = match found.proof {
            Proof::Yes => "yes",
            Proof::No => "NO",
            Proof::Open => "?",
        };
        let _ = writeln!(text, "  {word:3}  {}", found.text);
    }
    for (done, fault) in &evidence.faults {
        let word = if *done { "-" } else { "?" };
        let _ = writeln!(text, "  {word:3}  {fault}");
    }
    outside(evidence, &mut text);
    if !evidence.unproved.is_empty() {
        text.push_str("what only the cluster can prove\n");
        for line in &evidence.unproved {
            let _ = writeln!(text, "  {line}");
        }
    }
    prediction(evidence, &mut text);
    text
}

fn outside(evidence: &Evidence, text: &mut String) {
    text.push_str("what would have left this machine\n");
    let mut nothing = true;
    for (place, requests) in evidence
        .stood_in
        .iter()
        .filter(|(_, requests)| *requests > 0)
    {
        nothing = false;
        let _ = writeln!(
            text,
            "  {place}  {requests} requests, declared, answered by a stand-in"
        );
    }
    for place in &evidence.strangers {
        nothing = false;
        let _ = writeln!(text, "  {place}  NOT DECLARED, connected to past the proxy");
    }
    for refused in &evidence.refused {
        nothing = false;
        let said = if refused.declared {
            "declared, but its client does not take another address: refused"
        } else {
            "NOT DECLARED, refused"
        };
        let _ = writeln!(text, "  {}  {} times, {said}", refused.place, refused.times);
    }
    if nothing {
        text.push_str("  nothing\n");
    }
    if !evidence.dropped.is_empty() {
        let names = evidence.dropped.join(", ");
        let _ = writeln!(text, "  not given to the client: {names}");
    }
}

fn prediction(evidence: &Evidence, text: &mut String) {
    let Some(found) = predict(evidence) else {
        if !evidence.evals.is_empty() {
            text.push_str("no prediction: not every evaluation is complete\n");
        }
        return;
    };
    let assumed: Vec<&str> = evidence
        .models
        .iter()
        .filter(|model| model.assumed)
        .map(|model| model.model.as_str())
        .collect();
    let (least, most) = found.likely;
    let _ = writeln!(
        text,
        "predicted for the cluster: {}, {:.1} GPU hours on {} GPUs; likely {least} to {most}",
        found.wall, found.gpu_hours, evidence.gpus
    );
    if let Some(share) = found.accounted {
        if share < 0.25 {
            text.push_str("  this machine was most of what was waited for: a lower `--speed` predicts better\n");
        }
        let _ = writeln!(
            text,
            "  calls to the servers are {:.0} % of the workers' time; the rest is the client, the stand-ins and this machine",
            share * 100.0
        );
    }
    if !assumed.is_empty() {
        let _ = writeln!(
            text,
            "  rates are assumed for {}; `toolorch sim fit` makes them from a run",
            assumed.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Millis;
    use crate::report::rehearsal::{EvalEvidence, Kill, ModelEvidence, Refused, leads_out};
    use insta::assert_snapshot;

    fn good() -> Evidence {
        Evidence {
            speed: 60.0,
            gpus: 26,
            startup: Millis::from_secs(120),
            evals: vec![EvalEvidence {
                eval: "hle".to_owned(),
                total: 1900,
                real_total: 1900,
                done: 1900,
                errors: 0,
                starts: 2,
                first_result: Some(Millis(800)),
                ran: Millis::from_secs(120),
                began: Millis(0),
                ended: Millis::from_secs(121),
                concurrency: Some(64),
                kill: Some(Kill {
                    finished: 571,
                    touched: 0,
                    back_after: Some(Millis(300)),
                }),
                tools: vec![("search".to_owned(), 402), ("answer".to_owned(), 511)],
                files: Some((203, 65_536)),
                files_raised: None,
                looks: 240,
            }],
            models: vec![ModelEvidence {
                model: "orchestrator".to_owned(),
                replicas: 4,
                requests: 5318,
                seconds: 400_000.0,
                assumed: true,
            }],
            refused: Vec::new(),
            stood_in: vec![("https://api.openai.com/v1".to_owned(), 1812)],
            strangers: Vec::new(),
            dropped: Vec::new(),
            faults: Vec::new(),
            unproved: vec!["that weights load".to_owned()],
        }
    }

    #[test]
    fn a_good_rehearsal() {
        assert_snapshot!(verdict_text(&good()), @r"
        what was proved
          yes  the client of `hle` starts, first result after 800ms
          yes  every id of `hle` is written: 1900 of 1900
          yes  `hle` calls its tools: search 402, answer 511
          yes  `hle` resumes: killed at 571 results, back after 300ms, none of them was touched
          yes  open files of `hle`: at most 203 of 65536 in one process
          yes  names match: 1 of 1 models were asked, 5318 requests
          yes  sockets lead to declared endpoints only, in 240 looks
        what would have left this machine
          https://api.openai.com/v1  1812 requests, declared, answered by a stand-in
        what only the cluster can prove
          that weights load
        predicted for the cluster: 2h 02m, 52.9 GPU hours on 26 GPUs; likely 54m 05s to 4h 02m
          calls to the servers are 87 % of the workers' time; the rest is the client, the stand-ins and this machine
          rates are assumed for orchestrator; `toolorch sim fit` makes them from a run
        ");
        assert!(!leads_out(&good()));
    }

    #[test]
    fn a_bad_one() {
        let mut evidence = good();
        evidence.models[0].assumed = false;
        evidence.models[0].requests = 0;
        evidence.dropped.push("NEBIUS_API_KEY".to_owned());
        evidence.strangers.push("93.184.216.34:443".to_owned());
        evidence.refused = [("api.openai.com:443", true), ("api.nebius.com:443", false)]
            .map(|(place, declared)| Refused {
                place: place.to_owned(),
                times: 3,
                declared,
            })
            .to_vec();
        for (done, text) in [
            (true, "after 42s: answer-3 hang for 20s: it hangs"),
            (false, "after 50s: answer-3 kill: not done: it does not run"),
        ] {
            evidence.faults.push((done, text.to_owned()));
        }
        let eval = &mut evidence.evals[0];
        eval.done = 1890;
        eval.errors = 4;
        eval.files = Some((60_000, 65_536));
        eval.tools.clear();
        eval.kill = Some(Kill {
            finished: 571,
            touched: 2,
            back_after: Some(Millis(300)),
        });
        assert_snapshot!(verdict_text(&evidence), @r"
        what was proved
          yes  the client of `hle` starts, first result after 800ms
          NO   every id of `hle` is written: 1890 of 1900, 4 of them in error
          ?    whether `hle` calls tools: its results tell of no call
          NO   `hle` asks again what was finished: of 571 results 2 were written again or lost
          NO   open files of `hle`: at most 60000 of 65536 in one process
          ?    nobody asked `orchestrator`
          NO   sockets lead to places that are not declared: 93.184.216.34:443
          -    after 42s: answer-3 hang for 20s: it hangs
          ?    after 50s: answer-3 kill: not done: it does not run
        what would have left this machine
          https://api.openai.com/v1  1812 requests, declared, answered by a stand-in
          93.184.216.34:443  NOT DECLARED, connected to past the proxy
          api.openai.com:443  3 times, declared, but its client does not take another address: refused
          api.nebius.com:443  3 times, NOT DECLARED, refused
          not given to the client: NEBIUS_API_KEY
        what only the cluster can prove
          that weights load
        no prediction: not every evaluation is complete
        ");
        assert!(leads_out(&evidence));
    }

    #[test]
    fn one_that_never_began() {
        let mut evidence = good();
        evidence.evals[0] = EvalEvidence {
            eval: "hle".to_owned(),
            total: 1900,
            ..EvalEvidence::default()
        };
        evidence.stood_in.clear();
        assert_snapshot!(verdict_text(&evidence), @r"
        what was proved
          NO   the client of `hle` was not started
          NO   every id of `hle` is written: 0 of 1900
          ?    whether `hle` calls tools: its results tell of no call
          ?    whether `hle` resumes: it was over before its client could be killed, or `--no-kill` was said
          yes  names match: 1 of 1 models were asked, 5318 requests
          ?    where the client's sockets lead: nobody looked
        what would have left this machine
          nothing
        what only the cluster can prove
          that weights load
        no prediction: not every evaluation is complete
        ");
        assert_eq!(predict(&evidence), None);
    }

    #[test]
    fn a_part_of_the_questions_predicts_all_of_them() {
        let mut evidence = good();
        let whole = predict(&evidence).unwrap().wall;
        // 640 questions are ten for each worker, and an end of 1.5: 11.5 of the 31.2 rounds of all.
        evidence.evals[0].done = 640;
        evidence.evals[0].total = 640;
        evidence.evals[0].ran = Millis(120_000 * 115 / 312);
        let part = predict(&evidence).unwrap().wall;
        assert!(part.0.abs_diff(whole.0) < whole.0 / 100, "{part} {whole}");
    }
}
