//! The calls of a result as its text has them, read without building the texts around them.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use super::fields::Take;
use super::lenient::{As, Lenient, Number, Said, Word};

/// One entry of `calls`, or one response of `all_tool_responses`.
#[derive(Debug, Default)]
pub(super) struct RawCall {
    pub(super) tool: Option<String>,
    pub(super) model: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) ms: Number,
    pub(super) query_llm: Number,
    pub(super) expert: Number,
    pub(super) llm: Number,
    pub(super) retrieval: Number,
    pub(super) judge: Number,
    pub(super) exec: Number,
    pub(super) retries: Number,
    pub(super) error: bool,
    pub(super) tool_error: bool,
}

/// What tells of calls in one result.
#[derive(Debug, Default)]
pub(super) struct RawCalls {
    /// `calls`: each attempt of the quickstart's client.
    pub(super) listed: Vec<RawCall>,
    /// `all_tool_responses`: each tool's response of ToolOrchestra's clients.
    pub(super) responses: Vec<RawCall>,
    /// `rounds`.
    pub(super) rounds: Number,
}

impl Take for RawCalls {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "calls" => self.listed = map.next_value_seed(As::<List>::new())?.0,
            "all_tool_responses" => self.responses = map.next_value_seed(As::<Turns>::new())?.0,
            "rounds" => self.rounds = map.next_value_seed(As::<Number>::new())?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A list of calls; what in it is no object is none.
#[derive(Debug, Default)]
struct List(Vec<RawCall>);

impl Lenient for List {
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut calls = Vec::new();
        while let Some(call) = list.next_element_seed(As::<Option<RawCall>>::new())? {
            calls.extend(call);
        }
        Ok(Self(calls))
    }
}

/// An object of lists, one for each round.
#[derive(Debug, Default)]
struct Turns(Vec<RawCall>);

impl Lenient for Turns {
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut calls = Vec::new();
        while object.next_key::<IgnoredAny>()?.is_some() {
            calls.extend(object.next_value_seed(As::<List>::new())?.0);
        }
        Ok(Self(calls))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Tool,
    Model,
    Endpoint,
    Ms,
    Error,
    #[serde(rename = "_query_llm_ms")]
    QueryLlm,
    #[serde(rename = "_expert_ms")]
    Expert,
    #[serde(rename = "_llm_ms")]
    Llm,
    #[serde(rename = "_retrieval_ms")]
    Retrieval,
    #[serde(rename = "_judge_ms")]
    Judge,
    #[serde(rename = "_exec_ms")]
    Exec,
    #[serde(rename = "_retrieval_retries")]
    Retries,
    ToolError,
    #[serde(other)]
    Other,
}

impl Lenient for Option<RawCall> {
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut call = RawCall::default();
        while let Some(key) = object.next_key::<Key>()? {
            match key {
                Key::Tool => call.tool = object.next_value_seed(As::<Word>::new())?.0,
                Key::Model => call.model = object.next_value_seed(As::<Word>::new())?.0,
                Key::Endpoint => call.endpoint = object.next_value_seed(As::<Word>::new())?.0,
                Key::Error => call.error = object.next_value_seed(As::<Said>::new())?.0,
                Key::ToolError => call.tool_error = object.next_value_seed(As::<Said>::new())?.0,
                Key::Ms => call.ms = object.next_value_seed(As::new())?,
                Key::QueryLlm => call.query_llm = object.next_value_seed(As::new())?,
                Key::Expert => call.expert = object.next_value_seed(As::new())?,
                Key::Llm => call.llm = object.next_value_seed(As::new())?,
                Key::Retrieval => call.retrieval = object.next_value_seed(As::new())?,
                Key::Judge => call.judge = object.next_value_seed(As::new())?,
                Key::Exec => call.exec = object.next_value_seed(As::new())?,
                Key::Retries => call.retries = object.next_value_seed(As::new())?,
                Key::Other => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(call))
    }
}
