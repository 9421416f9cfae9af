//! Embeddings of a stand-in: vectors of length 1, the same for the same text. Pure.

use serde_json::{Value, json};

use super::super::tokens;
use super::request::Complaint;
use crate::base::padded_base64;

/// As many numbers as OpenAI's small model gives.
const DIMENSIONS: usize = 1536;
/// What OpenAI takes at most.
const MOST_DIMENSIONS: usize = 4096;
const MOST_INPUTS: usize = 2048;

/// The answer to `POST /v1/embeddings`, and the tokens that were read.
pub(super) fn embeddings(body: &Value, model: &str) -> Result<(Value, usize), Complaint> {
    let inputs = inputs(&body["input"])?;
    let asked = body["dimensions"].as_u64().map(usize::try_from);
    let dimensions = match asked {
        None => DIMENSIONS,
        Some(Ok(count)) if (1..=MOST_DIMENSIONS).contains(&count) => count,
        Some(_) => {
            let text = format!("'dimensions' must be from 1 to {MOST_DIMENSIONS}.");
            return Err(Complaint::new(text, Some("dimensions")));
        }
    };
    // The clients of OpenAI ask for this form, which is shorter, without being told to.
    let packed = body["encoding_format"] == "base64";
    let read: usize = inputs.iter().map(|(_, tokens)| tokens).sum();
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, (text, _))| {
            let numbers = vector(text, dimensions);
            let embedding = if packed {
                let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                json!(padded_base64(&bytes))
            } else {
                json!(numbers)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let answer = json!({
        "object": "list", "data": data, "model": body["model"].as_str().unwrap_or(model),
        "usage": {"prompt_tokens": read, "total_tokens": read},
    });
    Ok((answer, read))
}

/// The texts to embed with their tokens. Token ids stand for a text as well.
fn inputs(input: &Value) -> Result<Vec<(String, usize)>, Complaint> {
    let one = |value: &Value| match value {
        Value::String(text) => Some((text.clone(), tokens::count(text))),
        Value::Array(ids) if ids.iter().all(Value::is_number) => {
            Some((value.to_string(), ids.len()))
        }
        _ => None,
    };
    let all = match input {
        Value::Array(values) if values.len() > MOST_INPUTS => None,
        Value::Array(values) if !values.first().is_some_and(Value::is_number) => {
            values.iter().map(one).collect()
        }
        other => one(other).map(|input| vec![input]),
    };
    all.filter(|inputs: &Vec<_>| !inputs.is_empty())
        .ok_or_else(|| {
            let text = format!(
                "'input' must be a text, token ids, or a list of at most {MOST_INPUTS} of them."
            );
            Complaint::new(text, Some("input"))
        })
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let digest = crate::base::sha256(text.as_bytes());
    // Sixteen hexadecimal digits are a u64.
    let mut state = u64::from_str_radix(&digest[..16], 16).unwrap_or_default() | 1;
    let mut numbers: Vec<f32> = (0..dimensions)
        .map(|_| {
            // Xorshift: enough that two texts are about orthogonal.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let high = u16::try_from(state >> 48).unwrap_or_default();
            f32::from(high) / 32_768.0 - 1.0
        })
        .collect();
    let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
    if length > 0.0 {
        for number in &mut numbers {
            *number /= length;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<f64> {
        let body = json!({"input": text, "dimensions": 256});
        let (answer, _) = embeddings(&body, "m").unwrap();
        let numbers = answer["data"][0]["embedding"].as_array().unwrap();
        numbers.iter().map(|n| n.as_f64().unwrap()).collect()
    }

    fn product(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_are_of_length_one_and_differ() {
        let (a, b) = (numbers("amber"), numbers("birch"));
        assert_eq!(a, numbers("amber"));
        assert!((product(&a, &a) - 1.0).abs() < 1e-5);
        assert!(product(&a, &b).abs() < 0.3, "{}", product(&a, &b));
    }

    #[test]
    fn all_forms_of_input_are_read() {
        let count = |input: Value| {
            let found = embeddings(&json!({"input": input}), "m");
            found.map(|(answer, _)| answer["data"].as_array().unwrap().len())
        };
        assert_eq!(count(json!("a")).unwrap(), 1);
        assert_eq!(count(json!(["a", "b"])).unwrap(), 2);
        assert_eq!(count(json!([1, 2, 3])).unwrap(), 1);
        assert_eq!(count(json!([[1, 2], [3]])).unwrap(), 2);
        for wrong in [
            json!([]),
            json!(7),
            Value::Null,
            json!([{}]),
            json!(vec!["a"; 2049]),
        ] {
            assert!(count(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_packed_form_is_base64() {
        let body =
            json!({"input": "a", "dimensions": 3, "encoding_format": "base64", "model": "e"});
        let (answer, read) = embeddings(&body, "m").unwrap();
        assert_eq!((answer["model"].as_str(), read), (Some("e"), 1));
        assert_eq!(answer["data"][0]["embedding"].as_str().unwrap().len(), 16);
    }
}
