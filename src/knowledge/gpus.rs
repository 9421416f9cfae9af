//! GPU cards by name: memory and compute capability.

use super::tables;

/// One card.
#[derive(Debug)]
pub struct Gpu {
    /// Its usual name: `A100 40GB`.
    pub name: &'static str,
    /// The words that its name must hold, lower case.
    pub words: &'static [&'static str],
    /// Its memory in MiB, as `nvidia-smi` prints it for the usual variant.
    pub memory_mib: u32,
    /// CUDA compute capability: `(9, 0)`.
    pub compute: (u8, u8),
}

/// All cards; the most specific comes first.
pub fn all() -> &'static [Gpu] {
    tables::gpus::GPUS
}

/// The card that a name means: `H100-80GB`, `NVIDIA A100-SXM4-40GB`, `RTX 4090`. Compared word by word, so an
/// `A4000` is no `A40`.
pub fn gpu(name: &str) -> Option<&'static Gpu> {
    let words = words(name);
    all().iter().find(|gpu| {
        gpu.words
            .iter()
            .all(|word| words.iter().any(|have| have == word))
    })
}

/// The memory in MiB that a name promises: the card's, unless the name states a clearly different size
/// (`H100-94GB`), which then wins. `None` for an unknown card without a size.
pub fn memory_mib(name: &str) -> Option<u32> {
    let stated = words(name).iter().find_map(|word| stated_gib(word));
    let known = gpu(name).map(|gpu| gpu.memory_mib);
    match (known, stated) {
        // Cards report a little less or more than their label says: 81559 MiB for "80 GB".
        (Some(known), Some(gib)) if known.abs_diff(gib * 1024) * 10 <= gib * 1024 => Some(known),
        (_, Some(gib)) => Some(gib * 1024),
        (known, None) => known,
    }
}

fn words(name: &str) -> Vec<String> {
    let split = name.split(|c: char| !c.is_ascii_alphanumeric());
    split
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

fn stated_gib(word: &str) -> Option<u32> {
    let digits = word
        .strip_suffix("gib")
        .or_else(|| word.strip_suffix("gb"))
        .or_else(|| word.strip_suffix('g'))?;
    digits.parse().ok().filter(|gib| (1..=1024).contains(gib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_people_and_drivers_write() {
        let cases = [
            ("H100-80GB", 81_559),
            ("NVIDIA H100 80GB HBM3", 81_559),
            ("H100 NVL", 95_830),
            ("NVIDIA A100-SXM4-40GB", 40_960),
            ("A100-80GB", 81_920),
            ("A100", 81_920),
            ("NVIDIA GeForce RTX 4090", 24_564),
            ("H200", 143_771),
            ("L4", 23_034),
            ("L40S", 46_068),
            ("Tesla V100-SXM2-32GB", 32_768),
            ("H100-94GB", 94 * 1024),
            ("mystery-48GB", 48 * 1024),
        ];
        for (name, mib) in cases {
            assert_eq!(memory_mib(name), Some(mib), "{name}");
        }
        assert_eq!(memory_mib("mystery"), None);
        assert!(gpu("RTX A4000").is_none());
        assert_eq!(gpu("H100-80GB").unwrap().compute, (9, 0));
    }
}
