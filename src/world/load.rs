//! What a machine does at this moment: its load, its memory, its GPUs, all in one call.

use std::time::Duration;

use super::transport::{Command, Transport};
use crate::facts::samples::NodeSample;

const SCRIPT: &str = include_str!("../../templates/sample.sh");

/// `nvidia-smi` has 8 s of its own in the script: where it hangs, the rest is told.
const LIMIT: Duration = Duration::from_secs(12);

/// Looks at a machine; none if it cannot be asked, or does not answer in time.
pub async fn look_at_load(transport: &dyn Transport, gpus: bool) -> Option<NodeSample> {
    let mut words = vec!["bash", "-c", SCRIPT, "sample"];
    words.extend(gpus.then_some("gpus"));
    let answer = transport.exec(&Command::new(words), LIMIT).await.ok()?;
    NodeSample::read(&answer.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::transport::LocalTransport;

    #[tokio::test]
    async fn this_machine_says_what_it_does() {
        let seen = look_at_load(&LocalTransport, true).await.unwrap();
        assert!(seen.load.is_some() && seen.cores >= Some(1), "{seen:?}");
        let (available, total) = seen.memory.unwrap();
        assert!(0 < available && available < total, "{seen:?}");
    }
}
