//! What a rehearsal proved, what it could not, and what it predicts for the cluster.

use std::fmt::Write as _;

use serde::Serialize;

use crate::base::Millis;

/// What was seen in a rehearsal.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Evidence {
    /// Virtual seconds in a second.
    pub speed: f64,
    /// GPUs that the cluster takes.
    pub gpus: usize,
    /// From the first start of a server until all were ready, virtual.
    pub startup: Millis,
    /// The evaluations.
    pub evals: Vec<EvalEvidence>,
    /// The models.
    pub models: Vec<ModelEvidence>,
    /// What the proxy refused.
    pub refused: Vec<Refused>,
    /// Stand-ins of externals: for what they stood, and how many requests they had.
    pub stood_in: Vec<(String, u64)>,
    /// Where sockets of clients led that is neither an endpoint nor a stand-in.
    pub strangers: Vec<String>,
    /// Variables that clients would have found in their environment and were not given: credentials, endpoints, proxies.
    pub dropped: Vec<String>,
    /// Faults that were to be brought in: whether they were, and what was done.
    pub faults: Vec<(bool, String)>,
    /// What only the cluster can prove.
    pub unproved: Vec<String>,
}

/// What was seen of one evaluation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EvalEvidence {
    /// Which.
    pub eval: String,
    /// Ids of its dataset.
    pub total: usize,
    /// Questions that the cluster will ask.
    pub real_total: usize,
    /// Complete results.
    pub done: usize,
    /// Of these, in error.
    pub errors: usize,
    /// How often its client started.
    pub starts: usize,
    /// From its first start to its first result, real.
    pub first_result: Option<Millis>,
    /// How long a client ran, all starts together, real.
    pub ran: Millis,
    /// When its first client started and its last one ended, from the first of all, real.
    pub began: Millis,
    /// See `began`.
    pub ended: Millis,
    /// Questions in flight, where that is said.
    pub concurrency: Option<u32>,
    /// The kill in the middle.
    pub kill: Option<Kill>,
    /// Calls by tool, where results tell.
    pub tools: Vec<(String, usize)>,
    /// The most open files of one of its processes, and its limit.
    pub files: Option<(u64, u64)>,
    /// Looks at its sockets.
    pub looks: u64,
}

/// A client that was killed in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kill {
    /// Complete results at that moment.
    pub finished: usize,
    /// Of these, written again afterwards, or lost.
    pub touched: usize,
    /// From its death to the next start.
    pub back_after: Option<Millis>,
}

/// What was seen of the servers of one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ModelEvidence {
    /// Its key.
    pub model: String,
    /// Servers.
    pub replicas: usize,
    /// Requests that they finished.
    pub requests: u64,
    /// Seconds of all these requests together, virtual.
    pub seconds: f64,
    /// A rate of it is assumed.
    pub assumed: bool,
}

/// A place to which a client wanted to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Host and port.
    pub place: String,
    /// How often.
    pub times: u64,
    /// An external of the YAML is there.
    pub declared: bool,
}

/// How long the end of an evaluation is, in mean times of a question: of times that differ by a factor of two either way the
/// slowest of dozens is some three times the mean, and half of that is waited for.
const END: f64 = 1.5;

/// How far something is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// It was seen.
    Yes,
    /// The opposite was seen.
    No,
    /// Nothing was seen of it.
    Open,
}

/// One line of the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How far it is proved.
    pub proof: Proof,
    /// What, in words.
    pub text: String,
}

/// How long the cluster will take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Prediction {
    /// Of all evaluations, from the first start of a server.
    pub wall: Millis,
    /// The least and the most that is likely.
    pub likely: (Millis, Millis),
    /// GPUs times hours.
    pub gpu_hours: f64,
    /// The share of the client's time that its calls to the simulated servers account for; what is missing is the client, the
    /// stand-ins, and this machine. None where nothing was counted.
    pub accounted: Option<f64>,
}

/// Something leads out, and the YAML does not say so.
pub fn leads_out(evidence: &Evidence) -> bool {
    !evidence.strangers.is_empty() || evidence.refused.iter().any(|place| !place.declared)
}

/// What was proved, line by line.
pub fn findings(evidence: &Evidence) -> Vec<Finding> {
    let mut found: Vec<Finding> = evidence.evals.iter().flat_map(of_eval).collect();
    found.push(names(evidence));
    if !evidence.evals.is_empty() {
        found.push(sockets(evidence));
    }
    found
}

fn finding(proof: Proof, text: String) -> Finding {
    Finding { proof, text }
}

fn of_eval(eval: &EvalEvidence) -> Vec<Finding> {
    let name = &eval.eval;
    let mut found = Vec::new();
    found.push(match (eval.starts, eval.first_result) {
        (0, _) => finding(Proof::No, format!("the client of `{name}` was not started")),
        (_, Some(_)) if eval.done == 0 => finding(
            Proof::No,
            format!("the client of `{name}` wrote no complete result"),
        ),
        (_, Some(after)) => finding(
            Proof::Yes,
            format!("the client of `{name}` starts, first result after {after}"),
        ),
        (_, None) => finding(Proof::No, format!("the client of `{name}` wrote no result")),
    });
    found.push(written(eval));
    let calls: usize = eval.tools.iter().map(|(_, calls)| calls).sum();
    if calls > 0 {
        let each = eval
            .tools
            .iter()
            .map(|(tool, calls)| format!("{tool} {calls}"));
        let each = each.collect::<Vec<_>>().join(", ");
        found.push(finding(
            Proof::Yes,
            format!("`{name}` calls its tools: {each}"),
        ));
    } else {
        let text = format!("whether `{name}` calls tools: its results tell of no call");
        found.push(finding(Proof::Open, text));
    }
    found.push(resumed(eval));
    if let Some((open, limit)) = eval.files {
        let proof = if open * 2 < limit {
            Proof::Yes
        } else {
            Proof::No
        };
        let text = format!("open files of `{name}`: at most {open} of {limit} in one process");
        found.push(finding(proof, text));
    }
    found
}

fn written(eval: &EvalEvidence) -> Finding {
    let (done, total) = (eval.done, eval.total);
    let proof = if done >= total && total > 0 && eval.errors == 0 {
        Proof::Yes
    } else {
        Proof::No
    };
    let errors = match eval.errors {
        0 => String::new(),
        errors => format!(", {errors} of them in error"),
    };
    let text = format!(
        "every id of `{}` is written: {done} of {total}{errors}",
        eval.eval
    );
    finding(proof, text)
}

fn resumed(eval: &EvalEvidence) -> Finding {
    let name = &eval.eval;
    let Some(kill) = eval.kill else {
        let text = format!(
            "whether `{name}` resumes: it was over before its client could be killed, or `--no-kill` was said"
        );
        return finding(Proof::Open, text);
    };
    let Some(after) = kill.back_after else {
        let text = format!(
            "`{name}` does not resume: killed at {} results, it never came back",
            kill.finished
        );
        return finding(Proof::No, text);
    };
    if kill.finished == 0 {
        let text = format!("whether `{name}` resumes: it was killed before a result was complete");
        return finding(Proof::Open, text);
    }
    match kill.touched {
        0 if eval.done <= kill.finished && eval.done < eval.total => finding(
            Proof::No,
            format!(
                "`{name}` does not resume: killed at {} results, it came back and wrote no further one",
                kill.finished
            ),
        ),
        0 => finding(
            Proof::Yes,
            format!(
                "`{name}` resumes: killed at {} results, back after {after}, none of them was touched",
                kill.finished
            ),
        ),
        touched => finding(
            Proof::No,
            format!(
                "`{name}` asks again what was finished: of {} results {touched} were written again or lost",
                kill.finished
            ),
        ),
    }
}

fn names(evidence: &Evidence) -> Finding {
    let silent = evidence.models.iter().filter(|model| model.requests == 0);
    let silent: Vec<String> = silent.map(|model| format!("`{}`", model.model)).collect();
    let requests: u64 = evidence.models.iter().map(|model| model.requests).sum();
    let all = evidence.models.len();
    if evidence.evals.is_empty() {
        return finding(
            Proof::Yes,
            format!("all servers of {all} models became ready"),
        );
    }
    if silent.is_empty() {
        let text = format!("names match: {all} of {all} models were asked, {requests} requests");
        return finding(Proof::Yes, text);
    }
    let text = format!("nobody asked {}", silent.join(", "));
    finding(Proof::Open, text)
}

fn sockets(evidence: &Evidence) -> Finding {
    let looks: u64 = evidence.evals.iter().map(|eval| eval.looks).sum();
    if looks == 0 {
        return finding(
            Proof::Open,
            "where the client's sockets lead: nobody looked".to_owned(),
        );
    }
    if evidence.strangers.is_empty() {
        let text = format!("sockets lead to declared endpoints only, in {looks} looks");
        return finding(Proof::Yes, text);
    }
    let places = evidence.strangers.join(", ");
    finding(
        Proof::No,
        format!("sockets lead to places that are not declared: {places}"),
    )
}

/// What the cluster will take; none where nothing ran, or where this machine was most of what was waited for.
pub fn predict(evidence: &Evidence) -> Option<Prediction> {
    let mut wall = 0.0;
    for eval in &evidence.evals {
        if eval.total == 0 || eval.done < eval.total {
            return None;
        }
        wall += seconds(eval.ran) * evidence.speed * longer(eval);
    }
    wall *= overlap(&evidence.evals);
    if wall <= 0.0 {
        return None;
    }
    let assumed = evidence.models.iter().any(|model| model.assumed);
    // Rates from a roofline are right within a factor of two; fitted ones were within 15 %.
    let rates = if assumed { 2.0 } else { 1.15 };
    // The end, when fewer and fewer questions are under way, says little about the middle.
    let few = |eval: &EvalEvidence| {
        eval.real_total > eval.total && ratio(eval.total, workers(eval)) < 10.0
    };
    let part = if evidence.evals.iter().any(few) {
        1.3
    } else {
        1.0
    };
    let (least, most) = (1.0 / (rates * part), rates * part);
    let whole = wall + seconds(evidence.startup);
    let accounted = accounted(evidence);
    // At the cluster's own speed client and machine take what they take; here that counts `speed` times.
    let least = least * accounted.unwrap_or(1.0);
    let likely = [least, most].map(|factor| millis(wall * factor + seconds(evidence.startup)));
    Some(Prediction {
        wall: millis(whole),
        likely: (likely[0], likely[1]),
        gpu_hours: ratio(evidence.gpus, 1) * whole / 3600.0,
        accounted,
    })
}

/// The share of their own times that evaluations take together: those that run at once share it.
fn overlap(evals: &[EvalEvidence]) -> f64 {
    let mut spans: Vec<(u64, u64)> = evals
        .iter()
        .map(|eval| (eval.began.0, eval.ended.0))
        .collect();
    spans.sort_unstable();
    let alone: u64 = spans
        .iter()
        .map(|(began, ended)| ended.saturating_sub(*began))
        .sum();
    let (mut together, mut until) = (0, 0);
    for (began, ended) in spans {
        together += ended.saturating_sub(began.max(until));
        until = until.max(ended);
    }
    if alone == 0 {
        return 1.0;
    }
    seconds(Millis(together)) / seconds(Millis(alone))
}

/// How many times longer all questions take than those that were rehearsed: a run is as many rounds as each worker has
/// questions, and an end in which the slowest one is waited for.
fn longer(eval: &EvalEvidence) -> f64 {
    let rounds = |questions| ratio(questions, workers(eval)) + END;
    (rounds(eval.real_total.max(1)) / rounds(eval.done)).max(1.0)
}

fn workers(eval: &EvalEvidence) -> usize {
    eval.concurrency.map_or(1, |number| number as usize)
}

/// What calls to the servers take of the time that the clients' workers have.
fn accounted(evidence: &Evidence) -> Option<f64> {
    let mut worked = 0.0;
    for eval in &evidence.evals {
        worked += seconds(eval.ran) * evidence.speed * f64::from(eval.concurrency?);
    }
    let served: f64 = evidence.models.iter().map(|model| model.seconds).sum();
    (worked > 0.0 && served > 0.0).then(|| (served / worked).min(1.0))
}

fn seconds(length: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of days")]
    let seconds = length.0 as f64 / 1000.0;
    seconds
}

fn millis(seconds: f64) -> Millis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and days at most"
    )]
    let millis = (seconds * 1000.0) as u64;
    Millis(millis)
}

fn ratio(one: usize, other: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "numbers of questions and GPUs")]
    let ratio = one as f64 / other.max(1) as f64;
    ratio
}

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
