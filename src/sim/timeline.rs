//! Carries a schedule out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::chaos::Planned;
use super::inject::Stage;

/// Something that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What was planned.
    pub planned: Planned,
    /// What was done, or why it could not be; in words.
    pub outcome: Result<String, String>,
}

/// A schedule that is being carried out. When this is dropped nothing more happens, and what was stopped goes on.
#[derive(Debug)]
pub struct Timeline {
    tasks: JoinSet<()>,
}

impl Timeline {
    /// Carries a schedule out, its times counted from `start`; what is late is done at once. Tells of each thing when it
    /// is done; nobody need listen.
    ///
    /// It needs a runtime around it.
    pub fn begin(
        stage: &Arc<Stage>,
        schedule: Vec<Planned>,
        start: Instant,
        tell: &UnboundedSender<Done>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        for planned in schedule {
            let (stage, tell) = (Arc::clone(stage), tell.clone());
            tasks.spawn(async move {
                tokio::time::sleep_until((start + planned.at).into()).await;
                let Planned {
                    unit, act, lasts, ..
                } = &planned;
                let (outcome, held) = match stage.inject(unit, *act, *lasts).await {
                    Ok(injected) => (Ok(injected.text), injected.held),
                    Err(why) => (Err(why.to_string()), None),
                };
                // Who does not listen any more need not hear of it.
                let _ = tell.send(Done { planned, outcome });
                if let Some(held) = held {
                    held.over().await;
                }
            });
        }
        Self { tasks }
    }

    /// Waits until all is done and over.
    pub async fn finished(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
