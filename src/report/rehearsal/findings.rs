//! What follows from the evidence, line by line.

use serde::Serialize;

use super::evidence::{EvalEvidence, Evidence};

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
        let text = format!("open files of `{name}`: at most {open} of {limit} in one process");
        found.push(match eval.files_raised {
            Some(to) => finding(
                Proof::Yes,
                format!("{text}, a limit that was raised to {to} in time"),
            ),
            None if open * 2 < limit => finding(Proof::Yes, text),
            None => finding(Proof::No, text),
        });
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
