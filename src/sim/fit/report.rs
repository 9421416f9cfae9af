//! The parameters for people and programs: a `sim:` block ready to paste, each value with its story; or JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::estimate::Estimate;
use super::model::Fitted;

/// The version of the JSON.
const VERSION: u32 = 1;
/// The column of the stories.
const COLUMN: usize = 28;

/// The blocks of all models, by name.
pub(super) fn yaml(models: &[(String, Fitted)]) -> String {
    let blocks: Vec<String> = models
        .iter()
        .map(|(name, fitted)| block(name, fitted))
        .collect();
    blocks.join("\n")
}

fn block(name: &str, fitted: &Fitted) -> String {
    let (replicas, in_flight) = fitted.load;
    let servers = if replicas == 1 { "server" } else { "servers" };
    let check = &fitted.check;
    let p90 = check
        .p90
        .map_or("unknown".to_owned(), |p90| format!("{p90:.1}"));
    let mut text = format!(
        "# {name}: {:.0} requests, {in_flight:.0} at once on {replicas} {servers}. Simulated at that load, latency has\n\
         # a mean of {:.1} s (measured: {:.1}) and a P90 of {:.1} s (measured: {p90}).\n",
        check.requests, check.predicted.mean, check.mean, check.predicted.p90,
    );
    for remark in &fitted.remarks {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {remark}");
    }
    text.push_str("sim:\n");
    for (key, estimate) in parameters(fitted) {
        let value = written(key, estimate.value);
        line(&mut text, &format!("  {key}: {value}"), &estimate.note);
    }
    if let Some(seats) = &fitted.max_num_seqs {
        let arguments = format!("args: {{ max_num_seqs: {:.0} }}", seats.value);
        line(&mut text, &arguments, &seats.note);
    }
    text
}

fn line(text: &mut String, value: &str, note: &str) {
    let _ = writeln!(text, "{value:COLUMN$}  # {note}");
}

fn parameters(fitted: &Fitted) -> Vec<(&'static str, &Estimate)> {
    let all = [
        ("prefill_rate", Some(&fitted.prefill)),
        ("decode_rate", Some(&fitted.decode)),
        ("batch_slowdown", Some(&fitted.slowdown)),
        ("cache_tokens", fitted.cache.as_ref()),
        ("answer_tokens", Some(&fitted.answer)),
        ("answer_spread", Some(&fitted.spread)),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(key, estimate)| Some((key, estimate?)))
        .collect()
}

/// All of them, with what was measured and predicted.
pub(super) fn json(models: &[(String, Fitted)]) -> String {
    let each = models
        .iter()
        .map(|(name, fitted)| (name.clone(), model(fitted)));
    let all: serde_json::Map<String, Value> = each.collect();
    format!("{:#}\n", json!({"version": VERSION, "models": all}))
}

fn model(fitted: &Fitted) -> Value {
    let parameters = parameters(fitted);
    let values = parameters.iter().map(|(key, estimate)| {
        let value = written(key, estimate.value).parse();
        let value = value.unwrap_or(Value::Null);
        ((*key).to_owned(), value)
    });
    let notes = parameters
        .iter()
        .map(|(key, estimate)| ((*key).to_owned(), json!(estimate.note)));
    let predicted = fitted.check.predicted;
    json!({
        "sim": values.collect::<serde_json::Map<_, _>>(),
        "notes": notes.collect::<serde_json::Map<_, _>>(),
        "max_num_seqs": fitted.max_num_seqs.as_ref().map(|seats| seats.value),
        "prompt_tokens": fitted.prompt.mean,
        "replicas": fitted.load.0,
        "concurrency": fitted.load.1,
        "requests": fitted.check.requests,
        "measured": {"mean_s": fitted.check.mean, "p90_s": fitted.check.p90},
        "predicted": {
            "mean_s": predicted.mean,
            "p50_s": predicted.p50,
            "p90_s": predicted.p90,
            "p99_s": predicted.p99,
            "requests_per_s": predicted.throughput,
            "preemptions": predicted.preemptions,
        },
        "remarks": fitted.remarks,
    })
}

/// As the key takes it: tokens are whole.
fn written(key: &str, value: f64) -> String {
    if key.ends_with("_tokens") {
        format!("{:.0}", value.max(1.0))
    } else {
        number(value)
    }
}

/// With as many digits as a rehearsal needs: whole from 100 on, else three that count.
fn number(value: f64) -> String {
    if value >= 100.0 || value <= 0.0 {
        return format!("{value:.0}");
    }
    let whole = value.log10().floor();
    let digits = (0..).zip([2.0, 1.0, 0.0, -1.0, -2.0, -3.0]);
    let decimals = digits
        .filter(|(_, power)| *power >= whole)
        .map(|(decimals, _)| decimals)
        .last()
        .unwrap_or(5_usize);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::closed_loop::Lengths;
    use crate::sim::fit::model::Check;
    use crate::sim::predict::Prediction;

    fn fitted() -> Fitted {
        Fitted {
            prefill: Estimate::new(8123.4, "±3 % from the same"),
            decode: Estimate::new(61.23, "±1 %, from 31 intervals with 2 to 64 running"),
            slowdown: Estimate::new(0.018_94, "±5 %, from the same"),
            cache: Some(Estimate::new(160_000.0, "exact: as the server says it")),
            max_num_seqs: Some(Estimate::new(48.0, "the most that ran while others waited")),
            answer: Estimate::new(402.0, "±4 %, the mean of 1500 answers"),
            spread: Estimate::new(0.613, "from the lengths in 9 buckets"),
            prompt: Lengths {
                mean: 2000,
                spread: 0.5,
            },
            load: (2, 63.6),
            check: Check {
                requests: 1500.0,
                mean: 20.14,
                p90: Some(34.0),
                predicted: Prediction {
                    mean: 20.4,
                    p90: 33.2,
                    ..Prediction::default()
                },
            },
            remarks: vec!["9 preemptions: the KV cache was full".to_owned()],
        }
    }

    #[test]
    fn a_block_can_be_pasted() {
        let text = yaml(&[("Qwen/Qwen3-8B".to_owned(), fitted())]);
        insta::assert_snapshot!(text, @r"
        # Qwen/Qwen3-8B: 1500 requests, 64 at once on 2 servers. Simulated at that load, latency has
        # a mean of 20.4 s (measured: 20.1) and a P90 of 33.2 s (measured: 34.0).
        # 9 preemptions: the KV cache was full
        sim:
          prefill_rate: 8123          # ±3 % from the same
          decode_rate: 61.2           # ±1 %, from 31 intervals with 2 to 64 running
          batch_slowdown: 0.0189      # ±5 %, from the same
          cache_tokens: 160000        # exact: as the server says it
          answer_tokens: 402          # ±4 %, the mean of 1500 answers
          answer_spread: 0.613        # from the lengths in 9 buckets
        args: { max_num_seqs: 48 }    # the most that ran while others waited
        ");
        let read: crate::spec::model::Sim = serde_yaml::from_str::<serde_yaml::Value>(&text)
            .and_then(|all| serde_yaml::from_value(all["sim"].clone()))
            .unwrap();
        assert_eq!(read.batch_slowdown, Some(0.0189));
    }

    #[test]
    fn json_has_a_version() {
        let text = json(&[("m".to_owned(), fitted())]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], 1);
        assert_eq!(value["models"]["m"]["sim"]["decode_rate"], 61.2);
        assert_eq!(value["models"]["m"]["max_num_seqs"], 48.0);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let values = [0.0, 0.006_666, 0.0189, 0.5, 1.0, 61.23, 99.96, 8123.4];
        let texts = values.map(number).join(" ");
        assert_eq!(texts, "0 0.00667 0.0189 0.500 1.00 61.2 100.0 8123");
    }
}
