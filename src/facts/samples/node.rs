//! What a machine says of its GPUs, processors and memory at one moment.

use super::line::GpuLoad;
use crate::base::GpuIndex;

/// What a machine does now; what it does not say is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeSample {
    /// Processes that ran or waited to run, on average over the last minute.
    pub load: Option<f64>,
    /// Its processors.
    pub cores: Option<u32>,
    /// Its memory, in MiB: what is available, and all.
    pub memory: Option<(u64, u64)>,
    /// Its GPUs; none where it has no `nvidia-smi`, or that fails.
    pub gpus: Vec<GpuLoad>,
}

impl NodeSample {
    /// Reads what `templates/sample.sh` writes: `load 0.50`, `cores 16`, `memory AVAILABLE TOTAL` in KiB, and
    /// `gpu INDEX, UTILISATION, USED, TOTAL` as `nvidia-smi` has it; none if nothing of it is there.
    pub fn read(text: &str) -> Option<Self> {
        let mut sample = Self::default();
        for line in text.lines() {
            let Some((word, rest)) = line.split_once(' ') else {
                continue;
            };
            match word {
                "load" => sample.load = rest.parse().ok().filter(|load: &f64| load.is_finite()),
                "cores" => sample.cores = rest.parse().ok(),
                "memory" => sample.memory = memory(rest),
                "gpu" => sample.gpus.extend(gpu(rest)),
                _ => {}
            }
        }
        (sample != Self::default()).then_some(sample)
    }
}

fn memory(words: &str) -> Option<(u64, u64)> {
    let (available, total) = words.split_once(' ')?;
    let mebibytes = |text: &str| Some(text.parse::<u64>().ok()? / 1024);
    Some((mebibytes(available)?, mebibytes(total)?))
}

/// `0, 97, 70123, 81559`; a number that is not told, as of a GPU in parts (MIG), is `[N/A]`.
fn gpu(line: &str) -> Option<GpuLoad> {
    let mut fields = line.split(',').map(str::trim);
    let index = GpuIndex(fields.next()?.parse().ok()?);
    let load = GpuLoad {
        index,
        busy: fields.next()?.parse().ok(),
        used: fields.next()?.parse().ok(),
        total: fields.next()?.parse().ok(),
    };
    fields.next().is_none().then_some(load)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_said_is_absent() {
        let text = "load 3.25\ncores 64\nmemory 1048576 2097152\ngpu 0, 97, 70123, 81559\ngpu 1, [N/A], 3, [N/A]\ngpu No devices were found\n";
        let read = NodeSample::read(text).unwrap();
        assert_eq!((read.load, read.cores), (Some(3.25), Some(64)));
        assert_eq!(read.memory, Some((1024, 2048)));
        let gpu = |index, busy, used, total| GpuLoad {
            index: GpuIndex(index),
            busy,
            used,
            total,
        };
        assert_eq!(
            read.gpus,
            [
                gpu(0, Some(97), Some(70_123), Some(81_559)),
                gpu(1, None, Some(3), None)
            ]
        );
        assert_eq!(NodeSample::read("load \ncores x\nmemory 1\n"), None);
        assert_eq!(NodeSample::read(""), None);
    }

    #[test]
    fn a_recorded_gpu_is_read() {
        let held = include_str!("../../../tests/recordings/nvidia-smi-580/held-gpus.txt");
        let fields: Vec<&str> = held.trim().split(", ").collect();
        // The recording has index, uuid, name, total, used and more.
        let line = format!("gpu {}, 5, {}, {}", fields[0], fields[4], fields[3]);
        let read = NodeSample::read(&line).unwrap();
        assert_eq!(read.gpus[0].used, fields[4].parse().ok());
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange(text in "((load|cores|memory|gpu) ?([0-9]{0,30}|-1|NaN|[N/A]|,| ){0,6}\n){0,6}") {
            if let Some(read) = NodeSample::read(&text) {
                prop_assert!(read.load.is_none_or(f64::is_finite));
            }
        }
    }
}
