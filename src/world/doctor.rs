//! One look at each machine of a plan, all at once, one call each.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::transport::{Command, Transport, Transports};
use super::{SystemClock, TransportError};
use crate::base::{Clock, clean};
use crate::facts::{Known, NodeLook};
use crate::plan::inspect::{Inspected, Inspection};

/// vLLM's help takes half a minute of imports, and minutes where its files are on a slow network; it has its own limit.
const LIMIT: Duration = Duration::from_secs(200);

const SCRIPT: &str = include_str!("../../templates/doctor.sh");

/// Looks at these machines; `known` are installations whose flags need not be asked again.
pub async fn look_at_nodes(
    transports: &Transports,
    inspections: Vec<Inspection>,
    known: &BTreeSet<String>,
) -> Vec<Inspected> {
    let looks = inspections.into_iter().map(|inspection| async move {
        let asked = SystemClock.now().0;
        let look = match transports.of(&inspection.name) {
            Some(transport) => ask(&**transport, &inspection, known).await,
            None => Known::Unknown("there is no way to it".to_owned()),
        };
        let between = (millis(asked), millis(SystemClock.now().0));
        Inspected {
            inspection,
            look,
            between,
        }
    });
    join_all(looks).await
}

fn millis(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

async fn ask(
    transport: &dyn Transport,
    inspection: &Inspection,
    known: &BTreeSet<String>,
) -> Known<NodeLook> {
    let mut words = vec!["bash", "-c", SCRIPT, "doctor"];
    let mut questions = inspection.questions.iter().map(String::as_str).peekable();
    words.extend(questions.next_if_eq(&"gpus"));
    if inspection.questions.iter().any(|word| word == "flags") {
        words.extend(known.iter().flat_map(|key| ["known", key]));
    }
    words.extend(questions);
    match transport.exec(&Command::new(words), LIMIT).await {
        Ok(output) if output.code == Some(0) => Known::Known(NodeLook::read(&output.stdout)),
        Ok(output) => Known::Unknown(match clean(output.stderr.trim()) {
            words if words.is_empty() => "its bash failed without a word".to_owned(),
            words => words,
        }),
        Err(error) => Known::Unknown(words_of(&error)),
    }
}

fn words_of(error: &TransportError) -> String {
    clean(&error.to_string())
}
