//! Random worlds: whatever they do, the rules of the house hold and every run comes to its end.

use proptest::prelude::*;

use super::world::{BENIGN, Moods, World};
use crate::base::ExitStatus;

fn share() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 1_u32..40]
}

prop_compose! {
    fn moods()(
        bad_start in share(),
        bad_probe in share(),
        death in share(),
        blind in share(),
        bad_answer in share(),
        crash in prop_oneof![Just(0), 1_u32..6],
        leave in prop_oneof![4 => Just(0), 1 => 1_u32..3],
    ) -> Moods {
        Moods { bad_start, bad_probe, death, blind, bad_answer, crash, leave }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_in_any_world(seed in 1_u64.., moods in moods(), keep: bool) {
        World::new(seed, moods, keep).live();
    }

    #[test]
    fn a_benign_world_ends_well(seed in 1_u64.., keep: bool) {
        let outcome = World::new(seed, BENIGN, keep).live();
        prop_assert_eq!(outcome.code, ExitStatus::Done);
        prop_assert_eq!(outcome.kept, keep);
    }

    #[test]
    fn a_controller_that_is_killed_loses_nothing(seed in 1_u64.., crash in 1_u32..30, keep: bool) {
        let outcome = World::new(seed, Moods { crash, ..BENIGN }, keep).live();
        prop_assert_eq!(outcome.code, ExitStatus::Done);
    }
}
