//! What `nvidia-smi` says of the memory of a node's GPUs.

use std::time::Duration;

use super::procfs::lives;
use super::transport::{Command, Transport};
use crate::facts::GpuSeen;

/// It answers in 30 ms, and in seconds where nothing keeps the driver loaded; this long means that it hangs.
const LIMIT: Duration = Duration::from_secs(5);

/// The two cannot be asked in one call.
const GPUS: &str = "--query-gpu=index,uuid,memory.used";
const APPS: &str = "--query-compute-apps=gpu_uuid,pid,used_memory";

/// Looks at each GPU's memory; nothing where there is no `nvidia-smi`, or it fails or hangs.
pub(super) async fn look_at_gpus(transport: &dyn Transport) -> Vec<GpuSeen> {
    let (gpus, apps) = tokio::join!(ask(transport, GPUS), ask(transport, APPS));
    match (gpus, apps) {
        (Some(gpus), Some(apps)) => GpuSeen::read(&gpus, &apps, lives),
        _ => Vec::new(),
    }
}

async fn ask(transport: &dyn Transport, query: &str) -> Option<String> {
    let command = Command::new(["nvidia-smi", query, "--format=csv,noheader,nounits"]);
    let answer = transport.exec(&command, LIMIT).await.ok()?;
    (answer.code == Some(0)).then_some(answer.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::GpuIndex;
    use crate::world::transport::{Answer, NodeFile, Output, TransportError};

    /// A node whose `nvidia-smi` ends with this code, or hangs.
    struct Node(Option<i32>);

    impl Transport for Node {
        fn exec<'a>(
            &'a self,
            command: &'a Command,
            _: Duration,
        ) -> Answer<'a, Result<Output, TransportError>> {
            let argv = &command.argv;
            let query = argv[1].split_once('=').unwrap();
            assert_eq!(
                [&argv[0], &argv[2]],
                ["nvidia-smi", "--format=csv,noheader,nounits"]
            );
            let living = std::process::id();
            let (code, stdout) = match query {
                ("--query-gpu", "index,uuid,memory.used") => {
                    (Some(0), "4, GPU-a, 130\n".to_owned())
                }
                ("--query-compute-apps", "gpu_uuid,pid,used_memory") => {
                    let apps = format!("GPU-a, {living}, 100\nGPU-a, {}, 20\n", u32::MAX);
                    (self.0, apps)
                }
                _ => panic!("{argv:?}"),
            };
            let program = argv[0].clone();
            let said = match code {
                None => Err(TransportError::Unknown {
                    program,
                    node: None,
                    why: "it hangs".to_owned(),
                }),
                code => Ok(Output {
                    code,
                    stdout,
                    ..Output::default()
                }),
            };
            Box::pin(async move { said })
        }

        fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>> {
            panic!("{argv:?}")
        }

        fn put_all<'a>(
            &'a self,
            files: &'a [NodeFile],
            _: Duration,
        ) -> Answer<'a, Result<(), TransportError>> {
            panic!("{files:?}")
        }
    }

    #[tokio::test]
    async fn what_no_living_process_claims_is_told() {
        let seen = GpuSeen {
            gpu: GpuIndex(4),
            unclaimed: Some(30),
            claimants: 1,
        };
        assert_eq!(look_at_gpus(&Node(Some(0))).await, [seen]);
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        assert_eq!(look_at_gpus(&Node(Some(9))).await, []);
        assert_eq!(look_at_gpus(&Node(None)).await, []);
    }
}
