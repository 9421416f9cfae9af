//! How much of its GPUs' memory a server takes.

use crate::knowledge::memory::default_utilization;
use crate::knowledge::release::Release;

const FLAG: &str = "--gpu-memory-utilization";

/// Percent of each GPU's memory that a vLLM server asks for at its start, rounded down: what its command line says, else the
/// release's own default.
pub(crate) fn of_vllm(argv: &[String], release: Option<Release>) -> Option<u8> {
    let own =
        argv.iter()
            .enumerate()
            .rev()
            .find_map(|(at, word)| match word.strip_prefix(FLAG)? {
                "" => argv.get(at + 1)?.parse().ok(),
                rest => rest.strip_prefix('=')?.parse().ok(),
            });
    let share: f64 = own.unwrap_or_else(|| {
        let oldest = default_utilization(Release::new(0, 0, 0));
        release.map_or(oldest, default_utilization)
    });
    // A hundredth more than it is: 0.29 * 100 is 28.999….
    let percent = share.mul_add(100.0, 0.01);
    (1..=100).rev().find(|whole| f64::from(*whole) <= percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(words: &str, release: Option<Release>) -> Option<u8> {
        let argv: Vec<String> = words.split(' ').map(str::to_owned).collect();
        of_vllm(&argv, release)
    }

    #[test]
    fn the_command_line_wins_over_the_release() {
        let new = Some(Release::new(0, 32, 0));
        assert_eq!(
            share("vllm serve m --gpu-memory-utilization 0.29", new),
            Some(29)
        );
        assert_eq!(
            share("vllm serve m --gpu-memory-utilization=0.455", new),
            Some(45)
        );
        assert_eq!(share("vllm serve m", new), Some(92));
        assert_eq!(
            share("vllm serve m", Some(Release::new(0, 11, 0))),
            Some(90)
        );
        assert_eq!(share("vllm serve m", None), Some(90));
        assert_eq!(share("vllm --gpu-memory-utilization 0", None), None);
    }
}
