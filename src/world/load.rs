//! What a machine does at this moment: its load, its memory, its GPUs, all in one call.

use std::time::Duration;

use super::transport::{Command, Transport};
use crate::facts::samples::NodeSample;
use crate::render::SAMPLE_TEXT;

/// `nvidia-smi` has 8 s of its own in the script: where it hangs, the rest is told.
const LIMIT: Duration = Duration::from_secs(12);

/// Looks at a machine; none if it cannot be asked, or does not answer in time.
pub async fn look_at_load(transport: &dyn Transport, gpus: bool) -> Option<NodeSample> {
    let mut words = vec!["bash", "-c", SAMPLE_TEXT, "sample"];
    words.extend(gpus.then_some("gpus"));
    let answer = transport.exec(&Command::new(words), LIMIT).await.ok()?;
    NodeSample::read(&answer.stdout)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::world::transport::LocalTransport;

    /// What the script says of GPUs, with these arguments and an `nvidia-smi` that has four and tells by which it was asked for.
    fn gpus(words: &[&str]) -> String {
        const NVIDIA_SMI: &str = "#!/bin/bash\necho \"${*:3}\" >${0%/*}/asked\nfor i in 0 1 2 3; do echo \"$i, 5$i, 4, 8\"; done\n";
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("nvidia-smi");
        std::fs::write(&place, NVIDIA_SMI).unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", SAMPLE_TEXT, "sample"]).args(words);
        let said = bash.env("PATH", format!("{}:{path}", dir.path().display()));
        let said = String::from_utf8(said.output().unwrap().stdout).unwrap();
        let lines = said.lines().filter(|line| line.starts_with("gpu "));
        let asked = std::fs::read_to_string(dir.path().join("asked")).unwrap_or_default();
        lines.chain(asked.lines()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_job_s_gpus_are_told_by_the_numbers_of_the_yaml() {
        insta::assert_snapshot!(gpus(&["gpus"]), @"
        gpu 0, 50, 4, 8
        gpu 1, 51, 4, 8
        gpu 2, 52, 4, 8
        gpu 3, 53, 4, 8
        ");
        insta::assert_snapshot!(gpus(&["gpus", "1=6,3=7"]), @"
        gpu 6, 51, 4, 8
        gpu 7, 53, 4, 8
        --id=1,3
        ");
        // What SLURM gives out in parts has no number.
        insta::assert_snapshot!(gpus(&["gpus", "MIG-a/3/0=6"]), @"--id=MIG-a/3/0");
        insta::assert_snapshot!(gpus(&[]), @"");
    }

    #[tokio::test]
    async fn this_machine_says_what_it_does() {
        let seen = look_at_load(&LocalTransport, true).await.unwrap();
        assert!(seen.load.is_some() && seen.cores >= Some(1), "{seen:?}");
        let (available, total) = seen.memory.unwrap();
        assert!(0 < available && available < total, "{seen:?}");
    }
}
