//! A text in OpenAI's forms: whole, or as server-sent events. Pure.

use serde_json::{Value, json};

use super::super::openai::Stamp;
use super::super::tokens;
use super::request::{Asked, Form, Said};

const FINGERPRINT: &str = "fp_toolorch";

/// An answer that is not streamed.
pub(super) fn whole(asked: &Asked, said: &Said, stamp: &Stamp) -> Value {
    match asked.form {
        Form::Chat => {
            let message = json!({"role": "assistant", "content": said.text, "refusal": null, "annotations": []});
            let mut choice = choice(said);
            choice["message"] = message;
            let mut answer = frame(asked, stamp, "chat.completion", json!([choice]));
            answer["usage"] = usage(said);
            answer["service_tier"] = json!("default");
            answer
        }
        Form::Text => {
            let mut choice = choice(said);
            choice["text"] = json!(said.text);
            let mut answer = frame(asked, stamp, "text_completion", json!([choice]));
            answer["usage"] = usage(said);
            answer
        }
        Form::Responses => response(asked, said, stamp, Some(said)),
    }
}

/// An answer as events, each complete with its blank line.
pub(super) fn events(asked: &Asked, said: &Said, stamp: &Stamp) -> Vec<String> {
    if asked.form == Form::Responses {
        return response_events(asked, said, stamp);
    }
    let (object, first) = match asked.form {
        Form::Chat => (
            "chat.completion.chunk",
            Some(json!({"role": "assistant", "content": "", "refusal": null})),
        ),
        _ => ("text_completion", None),
    };
    let pieces = tokens::pieces(&said.text).map(|piece| match asked.form {
        Form::Chat => json!({"content": piece}),
        _ => json!(piece),
    });
    let last = if asked.form == Form::Chat {
        json!({})
    } else {
        json!("")
    };
    let mut deltas: Vec<Value> = first.into_iter().chain(pieces).collect();
    deltas.push(last);
    let end = deltas.len() - 1;
    let mut chunks: Vec<Value> = Vec::with_capacity(deltas.len() + 1);
    for (at, delta) in deltas.into_iter().enumerate() {
        let mut choice = choice(said);
        if at < end {
            choice["finish_reason"] = Value::Null;
        }
        let key = if asked.form == Form::Chat {
            "delta"
        } else {
            "text"
        };
        choice[key] = delta;
        let mut chunk = frame(asked, stamp, object, json!([choice]));
        if asked.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunks.push(chunk);
    }
    if asked.include_usage {
        let mut chunk = frame(asked, stamp, object, json!([]));
        chunk["usage"] = usage(said);
        chunks.push(chunk);
    }
    let lines = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    lines.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

fn choice(said: &Said) -> Value {
    let finish = if said.cut { "length" } else { "stop" };
    json!({"index": 0, "logprobs": null, "finish_reason": finish})
}

fn frame(asked: &Asked, stamp: &Stamp, object: &str, choices: Value) -> Value {
    let prefix = match asked.form {
        Form::Chat => "chatcmpl",
        _ => "cmpl",
    };
    let mut frame = json!({
        "id": format!("{prefix}-{}", stamp.id), "object": object, "created": stamp.created, "model": asked.model,
    });
    frame["choices"] = choices;
    frame["system_fingerprint"] = json!(FINGERPRINT);
    frame
}

fn usage(said: &Said) -> Value {
    json!({
        "prompt_tokens": said.tokens_in, "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out, "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// The only item of a response.
fn item(said: &Said, stamp: &Stamp) -> Value {
    let status = if said.cut { "incomplete" } else { "completed" };
    json!({
        "id": format!("msg_{}", stamp.id), "type": "message", "status": status, "role": "assistant",
        "content": [part(&said.text)],
    })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

/// A response; without `output` one that has only begun.
fn response(asked: &Asked, said: &Said, stamp: &Stamp, output: Option<&Said>) -> Value {
    let status = match output {
        None => "in_progress",
        Some(said) if said.cut => "incomplete",
        Some(_) => "completed",
    };
    let incomplete = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    let usage = output.map(|said| {
        json!({
            "input_tokens": said.tokens_in, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said.tokens_out, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.tokens_in + said.tokens_out,
        })
    });
    let items: Vec<Value> = output.iter().map(|_| item(said, stamp)).collect();
    json!({
        "id": format!("resp_{}", stamp.id), "object": "response", "created_at": stamp.created, "status": status,
        "error": null, "incomplete_details": incomplete, "instructions": null, "metadata": {}, "model": asked.model,
        "output": items, "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "usage": usage,
    })
}

fn response_events(asked: &Asked, said: &Said, stamp: &Stamp) -> Vec<String> {
    let id = format!("msg_{}", stamp.id);
    let place =
        |kind: &str| json!({"type": kind, "item_id": id, "output_index": 0, "content_index": 0});
    let with = |mut event: Value, key: &str, value: Value| {
        event[key] = value;
        event
    };
    let mut begun = item(said, stamp);
    begun["status"] = json!("in_progress");
    begun["content"] = json!([]);
    let unfinished = response(asked, said, stamp, None);
    let mut events = vec![
        json!({"type": "response.created", "response": unfinished}),
        json!({"type": "response.in_progress", "response": unfinished}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": begun}),
        with(place("response.content_part.added"), "part", part("")),
    ];
    for piece in tokens::pieces(&said.text) {
        let delta = with(place("response.output_text.delta"), "delta", json!(piece));
        events.push(with(delta, "logprobs", json!([])));
    }
    let end = if said.cut {
        "response.incomplete"
    } else {
        "response.completed"
    };
    let done = with(place("response.output_text.done"), "text", json!(said.text));
    events.extend([
        with(done, "logprobs", json!([])),
        with(
            place("response.content_part.done"),
            "part",
            part(&said.text),
        ),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(said, stamp)}),
        json!({"type": end, "response": response(asked, said, stamp, Some(said))}),
    ]);
    let numbered = events.into_iter().enumerate().map(|(number, event)| {
        let event = with(event, "sequence_number", json!(number));
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap_or_default()
        )
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [(Form, &str); 3] = [
        (
            Form::Chat,
            r#"{"messages": [{"role": "user", "content": "12 + 30"}]"#,
        ),
        (Form::Text, r#"{"prompt": "12 + 30", "max_tokens": 2"#),
        (Form::Responses, r#"{"input": "12 + 30""#),
    ];

    fn asked(form: Form, body: &str, more: &str) -> (Asked, Said) {
        let body = serde_json::from_str(&format!("{body}{more}}}")).unwrap();
        let asked = Asked::read(form, &body, "m").unwrap();
        let said = asked.answer();
        (asked, said)
    }

    fn stamp() -> Stamp {
        Stamp {
            id: "7".to_owned(),
            created: 1_767_323_045,
        }
    }

    #[test]
    fn whole_answers_have_openais_form() {
        let all = FORMS.map(|(form, body)| {
            let (asked, said) = asked(form, body, "");
            whole(&asked, &said, &stamp()).to_string()
        });
        insta::assert_snapshot!(all.join("\n"), @r#"
        {"id":"chatcmpl-7","object":"chat.completion","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":"stop","message":{"role":"assistant","content":"12 + 30 = 42. The answer is \\boxed{42}.","refusal":null,"annotations":[]}}],"system_fingerprint":"fp_toolorch","usage":{"prompt_tokens":6,"completion_tokens":15,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}
        {"id":"cmpl-7","object":"text_completion","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":"length","text":"12 +"}],"system_fingerprint":"fp_toolorch","usage":{"prompt_tokens":6,"completion_tokens":2,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}
        {"id":"resp_7","object":"response","created_at":1767323045,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"metadata":{},"model":"m","output":[{"id":"msg_7","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"12 + 30 = 42. The answer is \\boxed{42}.","annotations":[]}]}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":{"input_tokens":6,"input_tokens_details":{"cached_tokens":0},"output_tokens":15,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":21}}
        "#);
    }

    #[test]
    fn events_have_openais_form() {
        let all = FORMS.map(|(form, body)| {
            let more =
                r#","stream": true, "stream_options": {"include_usage": true}, "max_tokens": 2"#;
            let (asked, said) = asked(form, &body.replace(r#", "max_tokens": 2"#, ""), more);
            events(&asked, &said, &stamp()).concat()
        });
        insta::assert_snapshot!(all.join("\n"), @r#"
        data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":null,"delta":{"role":"assistant","content":"","refusal":null}}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":null,"delta":{"content":"12"}}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":null,"delta":{"content":" +"}}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":"length","delta":{}}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767323045,"model":"m","choices":[],"system_fingerprint":"fp_toolorch","usage":{"prompt_tokens":6,"completion_tokens":2,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}

        data: [DONE]


        data: {"id":"cmpl-7","object":"text_completion","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":null,"text":"12"}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"cmpl-7","object":"text_completion","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":null,"text":" +"}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"cmpl-7","object":"text_completion","created":1767323045,"model":"m","choices":[{"index":0,"logprobs":null,"finish_reason":"length","text":""}],"system_fingerprint":"fp_toolorch","usage":null}

        data: {"id":"cmpl-7","object":"text_completion","created":1767323045,"model":"m","choices":[],"system_fingerprint":"fp_toolorch","usage":{"prompt_tokens":6,"completion_tokens":2,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}

        data: [DONE]


        event: response.created
        data: {"type":"response.created","response":{"id":"resp_7","object":"response","created_at":1767323045,"status":"in_progress","error":null,"incomplete_details":null,"instructions":null,"metadata":{},"model":"m","output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":null},"sequence_number":0}

        event: response.in_progress
        data: {"type":"response.in_progress","response":{"id":"resp_7","object":"response","created_at":1767323045,"status":"in_progress","error":null,"incomplete_details":null,"instructions":null,"metadata":{},"model":"m","output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":null},"sequence_number":1}

        event: response.output_item.added
        data: {"type":"response.output_item.added","output_index":0,"item":{"id":"msg_7","type":"message","status":"in_progress","role":"assistant","content":[]},"sequence_number":2}

        event: response.content_part.added
        data: {"type":"response.content_part.added","item_id":"msg_7","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]},"sequence_number":3}

        event: response.output_text.delta
        data: {"type":"response.output_text.delta","item_id":"msg_7","output_index":0,"content_index":0,"delta":"12","logprobs":[],"sequence_number":4}

        event: response.output_text.delta
        data: {"type":"response.output_text.delta","item_id":"msg_7","output_index":0,"content_index":0,"delta":" +","logprobs":[],"sequence_number":5}

        event: response.output_text.done
        data: {"type":"response.output_text.done","item_id":"msg_7","output_index":0,"content_index":0,"text":"12 +","logprobs":[],"sequence_number":6}

        event: response.content_part.done
        data: {"type":"response.content_part.done","item_id":"msg_7","output_index":0,"content_index":0,"part":{"type":"output_text","text":"12 +","annotations":[]},"sequence_number":7}

        event: response.output_item.done
        data: {"type":"response.output_item.done","output_index":0,"item":{"id":"msg_7","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"12 +","annotations":[]}]},"sequence_number":8}

        event: response.incomplete
        data: {"type":"response.incomplete","response":{"id":"resp_7","object":"response","created_at":1767323045,"status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"instructions":null,"metadata":{},"model":"m","output":[{"id":"msg_7","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","text":"12 +","annotations":[]}]}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"usage":{"input_tokens":6,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":8}},"sequence_number":9}
        "#);
    }

    #[test]
    fn the_pieces_of_a_stream_are_its_text() {
        let (asked, said) = asked(Form::Chat, FORMS[0].1, r#","stream": true"#);
        let events = events(&asked, &said, &stamp());
        let text: String = events
            .iter()
            .filter_map(|event| {
                let chunk: Value = serde_json::from_str(event.strip_prefix("data: ")?).ok()?;
                Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())
            })
            .collect();
        assert_eq!(text, said.text);
        assert!(!events.concat().contains("usage"));
    }
}
