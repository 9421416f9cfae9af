//! What the simulated model says: a pure function of the messages and tools, the same for the same request.
//!
//! The rules, first that fits:
//!
//! 1. A prompt to judge (it holds `<correct>` and lines `Reference: …` and `Prediction: …`, or `Reference answer: …` and
//!    `Student answer: …`) gets `<correct>True</correct>` when the two agree after normalisation, else `False`.
//! 2. With tools allowed, and fewer than three rounds of calls behind it, a tool is called. On the first round that is
//!    the first tool whose name the last user message mentions; otherwise the first that was not called yet.
//!    Once every tool was called the model answers. Arguments have the shape of the tool's schema: text parameters get
//!    the last user message, enumerations their first value.
//! 3. After tool results, the last `\boxed{…}` among them is the answer: the model follows its tools.
//! 4. A question of the dataset gets its answer, or a wrong one as often as the accuracy leaves room for it.
//! 5. The first sum in the last user message is computed: `12 + 30 = 42. The answer is \boxed{42}.`, or computed wrong.
//! 6. Otherwise the answer is a word drawn from a hash of the messages.
//!
//! Before rule 2, a share of the questions is refused or has no end, where `conduct` says so; a verdict and a call that
//! is forced are given all the same.

use serde_json::{Map, Value, json};

use super::arithmetic;
use super::conduct::{Asked, Conduct, Mood};

/// After this many rounds of calls the model answers.
const ROUNDS: usize = 3;

/// What a model says that refuses.
const REFUSAL: &str = "I'm sorry, but I can't help with that.";

/// One message of a request, its content as plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub(super) role: String,
    /// The text parts, joined.
    pub(super) text: String,
    /// The tools that this message called.
    pub(super) calls: Vec<String>,
}

/// A tool that a request offers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tool {
    /// Its function's name.
    pub(super) name: String,
    /// Its JSON Schema, an object.
    pub(super) parameters: Value,
}

/// Which tools the model may or must call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// None.
    None,
    /// Any, or none.
    Auto,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// A call that the model makes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The tool.
    pub(super) name: String,
    /// Its arguments, an object.
    pub(super) arguments: Value,
}

/// What the model says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// A text.
    Text(String),
    /// One tool call.
    Call(Call),
    /// A text that ends where no more tokens may be written.
    Endless,
}

/// What the model says to these messages.
pub(super) fn answer(
    messages: &[Message],
    tools: &[Tool],
    choice: &Choice,
    conduct: &Conduct,
    seed: u64,
) -> Answer {
    let prompt = last_user_text(messages);
    let verdict = verdict(prompt);
    let asked = match verdict {
        None => conduct.asked(messages, prompt, seed),
        Some(_) => None,
    };
    let mood = asked.map_or(Mood::Answers, Asked::mood);
    let call = |tool: &Tool| {
        Answer::Call(Call {
            name: tool.name.clone(),
            arguments: arguments(&tool.parameters, prompt),
        })
    };
    match choice {
        Choice::Named(name) => {
            if let Some(tool) = tools.iter().find(|tool| tool.name == *name) {
                return call(tool);
            }
        }
        Choice::Required => {
            if let Some(tool) = next_tool(messages, tools, prompt).or(tools.first()) {
                return call(tool);
            }
        }
        Choice::Auto if verdict.is_none() && mood == Mood::Answers => {
            if let Some(tool) = next_tool(messages, tools, prompt) {
                return call(tool);
            }
        }
        Choice::Auto | Choice::None => {}
    }
    match (verdict, mood) {
        (Some(agree), _) => Answer::Text(format!(
            "<correct>{}</correct>",
            if agree { "True" } else { "False" }
        )),
        (None, Mood::Refuses) => Answer::Text(REFUSAL.to_owned()),
        (None, Mood::RunsLong) => Answer::Endless,
        (None, Mood::Answers) => Answer::Text(text_answer(messages, prompt, asked)),
    }
}

/// What the model thinks before it speaks, where it thinks at all.
pub(super) fn reasoning(messages: &[Message]) -> String {
    let prompt = last_user_text(messages);
    match arithmetic::first_sum(prompt) {
        Some((sum, value)) => format!("The task asks for {sum}. That is {value}."),
        None => format!(
            "The task has {} words. I should answer it briefly.",
            prompt.split_whitespace().count()
        ),
    }
}

fn last_user_text(messages: &[Message]) -> &str {
    let user = messages.iter().rev().find(|message| message.role == "user");
    user.or(messages.last()).map_or("", |message| &message.text)
}

fn next_tool<'a>(messages: &[Message], tools: &'a [Tool], prompt: &str) -> Option<&'a Tool> {
    let rounds = messages
        .iter()
        .filter(|message| !message.calls.is_empty())
        .count();
    if rounds >= ROUNDS {
        return None;
    }
    let called = |tool: &&Tool| {
        messages
            .iter()
            .any(|message| message.calls.contains(&tool.name))
    };
    if rounds == 0
        && let Some(mentioned) = tools
            .iter()
            .find(|tool| !tool.name.is_empty() && prompt.contains(&tool.name))
    {
        return Some(mentioned);
    }
    tools.iter().find(|tool| !called(tool))
}

fn text_answer(messages: &[Message], prompt: &str, asked: Option<Asked<'_>>) -> String {
    let mut results = messages
        .iter()
        .rev()
        .filter(|message| message.role == "tool");
    if let Some(found) = results.find_map(|message| last_boxed(&message.text)) {
        return format!("The tools agree. The answer is \\boxed{{{found}}}.");
    }
    if let Some(known) = asked.and_then(Asked::answer) {
        // Some prompts want it between tags; whoever looks for a box finds one too.
        let tagged = if prompt.contains("<answer>") {
            format!(" <answer>{known}</answer>")
        } else {
            String::new()
        };
        return format!("The answer is \\boxed{{{known}}}.{tagged}");
    }
    if let Some((sum, value)) = arithmetic::first_sum(prompt) {
        let value = asked.map_or(value.clone(), |asked| asked.of(&value));
        return format!("{sum} = {value}. The answer is \\boxed{{{value}}}.");
    }
    format!("The answer is \\boxed{{{}}}.", word(messages))
}

/// Rule 1: whether reference and prediction agree; `None` where the prompt does not ask for a verdict.
/// How prompts for a judge begin the lines with the right answer, and with the one to judge: the quickstart's, and
/// ToolOrchestra's.
const REFERENCE: &[&str] = &["Reference:", "Reference answer:"];
const PREDICTION: &[&str] = &["Prediction:", "Student answer:"];

fn verdict(prompt: &str) -> Option<bool> {
    if !prompt.contains("<correct>") {
        return None;
    }
    let line = |labels: &[&str]| {
        let found = prompt.lines().rev().find_map(|line| {
            let line = line.trim_start();
            labels.iter().find_map(|label| line.strip_prefix(label))
        });
        found.map(normalised)
    };
    let reference = line(REFERENCE)?;
    let prediction = line(PREDICTION)?;
    Some(!reference.is_empty() && reference == prediction)
}

fn normalised(text: &str) -> String {
    let text = last_boxed(text).unwrap_or(text);
    let kept: String = text
        .chars()
        .filter(|c| c.is_alphanumeric() || ".-+%".contains(*c) || c.is_whitespace())
        .collect();
    kept.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_lowercase()
}

/// What stands in the last box, with the braces of its own.
fn last_boxed(text: &str) -> Option<&str> {
    let (_, tail) = text.rsplit_once("\\boxed{")?;
    let mut depth = 1_usize;
    let closing = tail.char_indices().find(|(_, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let end = closing.map(|(at, _)| at).or_else(|| tail.find('}'))?;
    Some(tail[..end].trim())
}

/// Arguments in the shape of a JSON Schema; required properties, or all where none is required.
fn arguments(schema: &Value, prompt: &str) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return json!({});
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let wanted = properties
        .iter()
        .filter(|(name, _)| required.is_empty() || required.contains(&name.as_str()));
    let filled: Map<String, Value> = wanted
        .map(|(name, schema)| (name.clone(), value(schema, prompt)))
        .collect();
    Value::Object(filled)
}

fn value(schema: &Value, prompt: &str) -> Value {
    if let Some(first) = schema
        .get("enum")
        .and_then(|choices| choices.get(0))
        .or(schema.get("const"))
    {
        return first.clone();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|alternatives| alternatives.get(0)) {
            return value(first, prompt);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => json!([value(schema.get("items").unwrap_or(&Value::Null), prompt)]),
        Some("object") => arguments(schema, prompt),
        _ => json!(prompt.trim()),
    }
}

const WORDS: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbor", "iris", "juniper",
    "kelp", "lark", "maple", "north", "opal", "pine",
];

fn word(messages: &[Message]) -> &'static str {
    WORDS[usize::from((hash(messages) >> 32).to_le_bytes()[0] & 15)]
}

/// A number that stands for the messages.
pub(super) fn hash(messages: &[Message]) -> u64 {
    // FNV-1a: small, stable between releases of the standard library, and not meant to resist anybody.
    let bytes = messages
        .iter()
        .flat_map(|message| message.role.bytes().chain(message.text.bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Message {
        Message {
            role: "user".to_owned(),
            text: text.to_owned(),
            calls: Vec::new(),
        }
    }

    fn called(name: &str) -> Message {
        Message {
            role: "assistant".to_owned(),
            text: String::new(),
            calls: vec![name.to_owned()],
        }
    }

    fn result(text: &str) -> Message {
        Message {
            role: "tool".to_owned(),
            text: text.to_owned(),
            calls: Vec::new(),
        }
    }

    fn tools() -> Vec<Tool> {
        let text = |name: &str, parameter: &str| Tool {
            name: name.to_owned(),
            parameters: json!({"type": "object", "properties": {parameter: {"type": "string"}}, "required": [parameter]}),
        };
        vec![text("search", "query"), text("ask_expert", "question")]
    }

    fn say(messages: &[Message], tools: &[Tool], choice: &Choice) -> Answer {
        answer(messages, tools, choice, &Conduct::default(), 0)
    }

    fn text(messages: &[Message]) -> String {
        match say(messages, &[], &Choice::None) {
            Answer::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    fn name(messages: &[Message], choice: &Choice) -> Option<String> {
        match say(messages, &tools(), choice) {
            Answer::Call(call) => Some(call.name),
            _ => None,
        }
    }

    #[test]
    fn each_tool_is_called_once_then_their_answer_is_given() {
        let mut talk = vec![user("What is 2 + 2?")];
        assert_eq!(name(&talk, &Choice::Auto).as_deref(), Some("search"));
        talk.extend([called("search"), result("nothing")]);
        assert_eq!(name(&talk, &Choice::Auto).as_deref(), Some("ask_expert"));
        talk.extend([called("ask_expert"), result("I say \\boxed{5}.")]);
        assert_eq!(
            say(&talk, &tools(), &Choice::Auto),
            Answer::Text("The tools agree. The answer is \\boxed{5}.".to_owned())
        );
    }

    #[test]
    fn a_mentioned_tool_comes_first_and_a_forced_one_always() {
        assert_eq!(
            name(&[user("Use ask_expert now.")], &Choice::Auto).as_deref(),
            Some("ask_expert")
        );
        let named = Choice::Named("ask_expert".to_owned());
        assert_eq!(name(&[user("Hi")], &named).as_deref(), Some("ask_expert"));
        assert_eq!(name(&[user("Hi")], &Choice::None), None);
    }

    #[test]
    fn three_rounds_are_enough() {
        let mut talk = vec![user("Go on")];
        for _ in 0..3 {
            talk.extend([called("search"), result("more")]);
        }
        assert_eq!(name(&talk, &Choice::Auto), None);
        assert_eq!(name(&talk, &Choice::Required).as_deref(), Some("search"));
    }

    #[test]
    fn arguments_have_the_shape_of_the_schema() {
        let schema = json!({"type": "object", "properties": {
            "model": {"enum": ["a", "b"]}, "n": {"type": "integer", "minimum": 3}, "deep": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}}, "query": {"type": ["string", "null"]},
            "optional": {"type": "string"}}, "required": ["model", "n", "deep", "tags", "query"]});
        assert_eq!(
            arguments(&schema, "Why? "),
            json!({"model": "a", "n": 3, "deep": true, "tags": ["Why?"], "query": "Why?"})
        );
        assert_eq!(arguments(&Value::Null, "Why?"), json!({}));
    }

    #[test]
    fn sums_are_computed_and_the_rest_is_a_stable_word() {
        assert_eq!(
            text(&[user("Tell me 12 + 30, please")]),
            "12 + 30 = 42. The answer is \\boxed{42}."
        );
        let story = [user("Tell me a story")];
        assert_eq!(text(&story), text(&story));
        assert!(text(&story).starts_with("The answer is \\boxed{"));
    }

    #[test]
    fn a_model_that_refuses_or_finds_no_end_calls_no_tool_that_it_need_not() {
        let always = |refuse, run_long| Conduct {
            refuse,
            run_long,
            ..Conduct::default()
        };
        let talk = [user("What is 2 + 2?")];
        let refused = answer(&talk, &tools(), &Choice::Auto, &always(1.0, 0.0), 0);
        assert_eq!(refused, Answer::Text(REFUSAL.to_owned()));
        let endless = answer(&talk, &tools(), &Choice::Auto, &always(0.0, 1.0), 0);
        assert_eq!(endless, Answer::Endless);
        let forced = answer(&talk, &tools(), &Choice::Required, &always(1.0, 1.0), 0);
        assert!(matches!(forced, Answer::Call(_)), "{forced:?}");
        let judged = [user("<correct>\nReference: 1\nPrediction: 1")];
        let judged = answer(&judged, &[], &Choice::None, &always(1.0, 1.0), 0);
        assert_eq!(judged, Answer::Text("<correct>True</correct>".to_owned()));
    }

    #[test]
    fn a_model_that_is_never_right_gets_its_sums_wrong() {
        let never = Conduct {
            accuracy: Some(0.0),
            ..Conduct::default()
        };
        let said = answer(&[user("What is 2 + 2?")], &[], &Choice::None, &never, 0);
        let Answer::Text(said) = said else {
            panic!("{said:?}");
        };
        assert!(
            said.starts_with("2 + 2 = ") && !said.contains("{4}"),
            "{said}"
        );
    }

    #[test]
    fn a_box_may_hold_braces() {
        assert_eq!(
            last_boxed("so \\boxed{\\frac{1}{2}}."),
            Some("\\frac{1}{2}")
        );
        assert_eq!(last_boxed("\\boxed{1} and \\boxed{ 2 }"), Some("2"));
        assert_eq!(last_boxed("cut \\boxed{\\frac{1}"), Some("\\frac{1"));
        assert_eq!(last_boxed("\\boxed{"), None);
    }

    #[test]
    fn the_judge_compares_what_was_meant() {
        let prompt = |reference, prediction| {
            format!(
                "Write <correct>True</correct> or <correct>False</correct>.\nReference: {reference}\nPrediction: {prediction}"
            )
        };
        assert_eq!(
            text(&[user(&prompt("42", " The answer is \\boxed{42}."))]),
            "<correct>True</correct>"
        );
        let orchestra = "<correct>\nStudent answer: Paris\nReference answer: paris";
        assert_eq!(text(&[user(orchestra)]), "<correct>True</correct>");
        assert_eq!(
            text(&[user(&prompt("Paris", "paris."))]),
            "<correct>True</correct>"
        );
        assert_eq!(
            text(&[user(&prompt("42", "43"))]),
            "<correct>False</correct>"
        );
        assert_eq!(
            text(&[user(&prompt("-2", "2"))]),
            "<correct>False</correct>"
        );
    }
}
