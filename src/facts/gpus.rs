//! The memory of GPUs: what `nvidia-smi` says is used, and who lives to claim it.

use crate::base::GpuIndex;

/// What was seen of one GPU's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuSeen {
    /// Which of its node.
    pub gpu: GpuIndex,
    /// MiB in use that no living process claims; none where that cannot be told.
    pub unclaimed: Option<u64>,
    /// How many living processes compute on it.
    pub claimants: usize,
}

/// What a process is said to hold.
struct Claim<'a> {
    uuid: &'a str,
    /// In MiB; none where it is not told (MIG, some containers).
    memory: Option<u64>,
}

impl GpuSeen {
    /// Reads `--query-gpu=index,uuid,memory.used` and `--query-compute-apps=gpu_uuid,pid,used_memory`, both
    /// with `--format=csv,noheader,nounits`.
    pub fn read(gpus: &str, apps: &str, lives: impl Fn(u32) -> bool) -> Vec<Self> {
        let gpus: Vec<[&str; 3]> = gpus.lines().filter_map(fields).collect();
        let living: Vec<Claim> = apps
            .lines()
            .filter_map(fields)
            // A process without a number is one that nobody can look for.
            .filter(|[_, pid, _]| pid.parse().map_or(true, &lives))
            .map(|[uuid, _, memory]| Claim {
                uuid,
                memory: memory.parse().ok(),
            })
            .collect();
        // A part of a GPU (MIG) has a name of its own, which does not tell whose part it is.
        let told = (living.iter()).all(|claim| gpus.iter().any(|[_, uuid, _]| *uuid == claim.uuid));
        let seen = |[index, uuid, used]: &[&str; 3]| {
            let claims = || living.iter().filter(|claim| claim.uuid == *uuid);
            let claimed = claims().try_fold(0_u64, |sum, claim| sum.checked_add(claim.memory?));
            let unclaimed = used.parse().ok().zip(claimed);
            Some(Self {
                gpu: GpuIndex(index.parse().ok()?),
                unclaimed: unclaimed
                    .filter(|_| told)
                    .map(|(used, claimed): (u64, u64)| used.saturating_sub(claimed)),
                claimants: claims().count(),
            })
        };
        gpus.iter().filter_map(seen).collect()
    }
}

/// The three fields of a line; none if it has more or fewer.
fn fields(line: &str) -> Option<[&str; 3]> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GPUS: &str = include_str!("../../tests/recordings/nvidia-smi-580/held-gpus.txt");
    const APPS: &str = include_str!("../../tests/recordings/nvidia-smi-580/held-apps.txt");
    const IDLE: &str = include_str!("../../tests/recordings/nvidia-smi-580/idle-gpus.txt");
    const NONE: &str = include_str!("../../tests/recordings/nvidia-smi-580/idle-apps.txt");

    /// The recordings have more columns than are asked for.
    fn columns(text: &str, which: [usize; 3]) -> String {
        let pick = |line: &str| {
            let all: Vec<&str> = line.split(", ").collect();
            which.map(|at| all[at]).join(", ")
        };
        text.lines().map(|line| pick(line) + "\n").collect()
    }

    fn read(gpus: &str, apps: &str, living: &[u32]) -> Vec<(u16, Option<u64>, usize)> {
        GpuSeen::read(gpus, apps, |pid| living.contains(&pid))
            .into_iter()
            .map(|seen| (seen.gpu.0, seen.unclaimed, seen.claimants))
            .collect()
    }

    #[test]
    fn memory_is_unclaimed_once_its_process_is_gone() {
        let (gpus, apps) = (columns(GPUS, [0, 1, 4]), columns(APPS, [0, 1, 3]));
        assert_eq!(read(&gpus, &apps, &[688]), [(0, Some(9), 1)]);
        assert_eq!(read(&gpus, &apps, &[]), [(0, Some(4623), 0)]);
        assert_eq!(read(&gpus, NONE, &[]), [(0, Some(4623), 0)]);
        let idle = columns(IDLE, [0, 1, 4]);
        assert_eq!(read(&idle, NONE, &[]), [(0, Some(0), 0)]);
    }

    #[test]
    fn each_gpu_has_its_own_claims() {
        let gpus = "0, GPU-a, 80000\n1, GPU-b, 45123\n";
        let apps = "GPU-a, 7, 30000\nGPU-a, 8, 40000\nGPU-b, 9, 45000\n";
        assert_eq!(
            read(gpus, apps, &[7, 8]),
            [(0, Some(10_000), 2), (1, Some(45_123), 0)]
        );
        assert_eq!(
            read(gpus, apps, &[8, 9]),
            [(0, Some(40_000), 1), (1, Some(123), 1)]
        );
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        let gpus = "0, GPU-a, 80000\n1, GPU-b, [N/A]\n";
        assert_eq!(read(gpus, "", &[]), [(0, Some(80_000), 0), (1, None, 0)]);
        for silent in ["[N/A]", "[Not Supported]", "[Insufficient Permissions]"] {
            let apps = format!("GPU-a, 7, {silent}\n");
            assert_eq!(read(gpus, &apps, &[7])[0], (0, None, 1));
            // Whatever it had is nobody's now.
            assert_eq!(read(gpus, &apps, &[])[0], (0, Some(80_000), 0));
        }
        assert_eq!(read(gpus, "GPU-a, [N/A], 5", &[])[0], (0, Some(79_995), 1));
        let part = "MIG-1, 7, 5000\n";
        assert_eq!(read(gpus, part, &[7])[0], (0, None, 0));
        assert_eq!(read(gpus, part, &[])[0], (0, Some(80_000), 0));
        let words = "No running processes found\n";
        assert_eq!(read(gpus, words, &[])[0], (0, Some(80_000), 0));
        assert_eq!(read("Unable to determine the device handle", "", &[]), []);
    }

    /// Lines that look like those of `nvidia-smi`, and are not.
    fn garbage() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "((GPU-[ab]|[0-9]{1,25}|-1|\\[N/A\\]|é)(, ?|\n)){0,12}",
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange(gpus in garbage(), apps in garbage(), lives: bool) {
            for seen in GpuSeen::read(&gpus, &apps, |_| lives) {
                let used = gpus.lines().filter_map(fields).map(|[_, _, used]| used.parse().ok());
                let most = used.flatten().max();
                prop_assert!(seen.unclaimed <= most);
                prop_assert!(seen.claimants <= apps.lines().count());
            }
        }
    }
}
